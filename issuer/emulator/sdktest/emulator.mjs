// The emulator under test, as the suites see it through @google/genai.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { GoogleGenAI, Modality } from "@google/genai";

/** For node:test: tests side by side, and what none of them may take. */
export const sideBySide = { concurrency: true, timeout: 30_000 };

/** A model that speaks, and with what it says in writing. */
export const speaks = { model: "gemini-3.8-live", config: { responseModalities: [Modality.AUDIO], outputAudioTranscription: {} } };

/** The one model that answers in writing, which takes less time than speech. */
export const writes = { model: "gemini-3.5-transcribe-live", config: { responseModalities: [Modality.TEXT] } };

/** A namespace of the emulator for one test: its clock and faults are its own. */
export class Emulator {
  #base;
  #name = randomUUID();

  /**
   * @param {import("node:test").TestContext} t
   * @param {string} [base]
   */
  static async open(t, base = process.env.TEST_EMULATOR_URL ?? "http://127.0.0.1:8089") {
    const emulator = new Emulator();
    emulator.#base = base;
    const reset = () => emulator.control("reset");
    await reset(); // opens the namespace
    t.after(reset); // cuts what the test left open
    return emulator;
  }

  get key() {
    return `emulator-${this.#name}`;
  }

  /** An SDK client. A token is its API key as well. */
  client(apiKey = this.key, apiVersion = "v1alpha") {
    return new GoogleGenAI({ apiKey, httpOptions: { baseUrl: this.#base, apiVersion } });
  }

  /** @returns {Promise<string>} a token's name */
  async mint(config) {
    const token = await this.client().authTokens.create({ config });
    return token.name;
  }

  /** Connects by token or API key and collects what comes. */
  async connect(apiKey = this.key, params = writes, apiVersion) {
    const conversation = new Conversation(this);
    conversation.session = await this.client(apiKey, apiVersion).live.connect({ ...params, callbacks: conversation.callbacks });
    return conversation;
  }

  /** POSTs to a control endpoint. */
  control(name, body = {}) {
    return this.#call(name, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  }

  advance(duration) {
    return this.control("clock", { advance: duration });
  }

  /** The only token there is, as GET /__emulator/tokens tells of it. */
  async token() {
    const { tokens } = await this.#call("tokens");
    assert.equal(tokens.length, 1);
    return tokens[0];
  }

  async journal() {
    return (await this.#call("journal")).entries;
  }

  async #call(name, init) {
    const response = await fetch(`${this.#base}/__emulator/${name}?ns=${this.#name}`, init);
    const answer = await response.json();
    assert.ok(response.ok, `${name}: ${JSON.stringify(answer)}`);
    return answer;
  }
}

/** A session and its messages, which can be waited for. */
class Conversation {
  /** @type {import("@google/genai").Session} */
  session;
  #emulator;
  #messages = [];
  #end;
  #wake = () => {};

  constructor(emulator) {
    this.#emulator = emulator;
  }

  callbacks = {
    onmessage: (message) => {
      this.#messages.push(message);
      this.#wake();
    },
    onclose: ({ code, reason }) => {
      this.#end = { code, reason };
      this.#wake();
    },
  };

  /** The next message that fits. Those before it are gone. */
  async next(fits = () => true) {
    for (;;) {
      while (this.#messages.length > 0) {
        const message = this.#messages.shift();
        if (fits(message)) return message;
      }
      if (this.#end) throw new Error(`closed with ${this.#end.code} ${this.#end.reason}`);
      await new Promise((resolve) => (this.#wake = resolve));
    }
  }

  /** How the socket was closed, once it is. */
  async closed() {
    while (!this.#end) await new Promise((resolve) => (this.#wake = resolve));
    return this.#end;
  }

  /** What comes up to the end of a turn. Its playback is skipped. */
  async turn() {
    const turn = { text: "", said: "", heard: "", bytes: 0, tokens: 0 };
    for (let complete = false; !complete; ) {
      const message = await this.next();
      const content = message.serverContent ?? {};
      for (const { text = "", inlineData } of content.modelTurn?.parts ?? []) {
        if (inlineData && turn.bytes === 0) await this.#emulator.advance("1m");
        turn.text += text;
        turn.bytes += Buffer.from(inlineData?.data ?? "", "base64").length;
      }
      turn.said += content.outputTranscription?.text ?? "";
      turn.heard += content.inputTranscription?.text ?? "";
      turn.tokens += message.usageMetadata?.totalTokenCount ?? 0;
      complete = content.turnComplete ?? false;
    }
    return turn;
  }

  /** The handle that comes after a turn. */
  async handle() {
    const { sessionResumptionUpdate } = await this.next((message) => message.sessionResumptionUpdate?.resumable);
    return sessionResumptionUpdate.newHandle;
  }

  /** Types something. */
  type(text) {
    this.session.sendRealtimeInput({ text });
    return this;
  }
}
