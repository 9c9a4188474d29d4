// What a test's page says: numbered texts, one at a time, through the public API
// alone. The emulator's model learns each and says so.

class Conversation {
  session;
  /** Texts so far, and how many of them were answered, and are in a handle. */
  told = 0;
  answered = 0;
  held = 0;
  /** Why each connection was dialled. */
  causes = [];
  /** What should not have happened. */
  wrong = [];

  /** What the model knows, once it was asked. */
  recalled = "";

  #asked = false;
  #nexts = 0;
  #waiting = [];
  #speaking;

  /** With hurry, the emulator's clock is advanced over its answers. */
  static async start({ hurry, ...options }) {
    const { connect } = await import("/livevalet.js");
    const c = new Conversation();
    c.session = await connect({ ...options, config: { outputAudioTranscription: {} } });
    const on = (type, heard) =>
      c.session.addEventListener(type, ({ detail }) => {
        heard(detail);
        c.#waiting = c.#waiting.filter(({ holds, resolve }) => !holds() || resolve());
      });

    on("status", ({ state, cause }) => state === "connecting" && c.causes.push(cause));
    on("resumed", (detail) => {
      if (detail.restored !== "full" || detail.rung === "restart") c.wrong.push(detail);
    });
    on("transcript", (detail) => {
      const { id, who, text, final, cut } = detail;
      if (who !== "model") return;
      if (hurry && id !== c.#speaking) void c.emulator("clock", { advance: c.#asked ? "1m" : "2s" });
      c.#speaking = id;
      if (!final || cut) return;
      if (c.#asked) return void (c.recalled = text);
      if (text !== `I will remember that ${(c.answered + 1) % 100}.`) c.wrong.push(detail);
      c.answered++;
    });
    on("message", ({ sessionResumptionUpdate: update }) => {
      if (update?.resumable) c.held = c.answered;
    });
    on("closed", (detail) => c.wrong.push(detail));
    await c.say();
    return c;
  }

  /** Resolves when the session took the next text. */
  async tell() {
    try {
      await this.session.sendRealtimeInput({ text: `remember that ${++this.told % 100}` });
    } catch (error) {
      this.wrong.push(String(error));
    }
  }

  /** Resolves when all that was told is answered. */
  hear() {
    return this.until(() => this.held === this.told);
  }

  async say() {
    await this.tell();
    await this.hear();
  }

  /** Asks what the model remembers, which is the last text. */
  async recall() {
    this.#asked = true;
    await this.session.sendRealtimeInput({ text: "what do you remember?" });
    await this.until(() => this.recalled);
  }

  /** Resolves when it holds after an event. */
  until(holds) {
    return new Promise((resolve) => {
      if (holds()) resolve();
      else this.#waiting.push({ holds, resolve });
    });
  }

  /** Resolves when a connection after those that next waited for is live. */
  async next() {
    const seen = ++this.#nexts;
    await this.until(() => this.causes.length > seen && this.session.state === "live");
  }

  async emulator(path, body) {
    const headers = { "content-type": "application/json" };
    const answer = await fetch("/__emulator/" + path, { method: "POST", headers, body: JSON.stringify(body) });
    if (!answer.ok) this.wrong.push(`${path}: ${answer.status} ${await answer.text()}`);
  }

  /** Changes a connection that held for a while, with one text: into an answer, or into the gap. */
  async rotate() {
    const dialled = this.causes.length;
    await this.emulator("clock", { advance: "4s" }); // And 2 s with each answer.
    const [kind, early] = [["goaway", true], ["drop", true], ["drop", false]][dialled % 3];
    if (early) await this.tell();
    await this.emulator("fault", { kind });
    await this.until(() => this.causes.length > dialled);
    if (!early) await this.tell();
    await this.until(() => this.session.state === "live");
    await this.hear();
  }
}

globalThis.Conversation = Conversation;
