// Trouble that the emulator makes on request: once, or by itself from calm to rude.

interface Trouble {
  words: string;
  /** For the emulator, in this order. */
  faults: { kind: string; [option: string]: unknown }[];
}

/** What one click does, by the id of its button. All of it befalls every open connection. */
export const troubles: Record<string, Trouble> = {
  goaway: { words: "the service announces the end of this connection", faults: [{ kind: "goaway", session: "*", timeLeft: "10s" }] },
  cut: { words: "the connection drops without a word", faults: [{ kind: "drop", session: "*" }] },
  stall: { words: "the service says nothing for 10 s", faults: [{ kind: "stall", session: "*", holds: "10s" }] },
  expire: { words: "the token expires now", faults: [{ kind: "expire-token", session: "*" }] },
  // Google cannot take a token back (docs/emulator.md): access ends with the token, as no other is minted.
  revoke: { words: "the token expires, and the next one is refused", faults: [{ kind: "mint-error", status: 403, times: 1 }, { kind: "expire-token", session: "*" }] },
  jitter: { words: "on this connection every message is late, each by another time", faults: [{ kind: "slow", session: "*", latency: "80ms", jitter: "400ms" }] },
  interrupt: { words: "the service says that you interrupted, and you did not", faults: [{ kind: "phantom-interrupt", session: "*" }] },
};

/** What comes by itself, at each position of the dial: some of these, every so many seconds on average. */
const weather: { name: string; every: number; of: string[] }[] = [
  { name: "Calm", every: Infinity, of: [] },
  { name: "Breezy", every: 20, of: ["goaway", "jitter"] },
  { name: "Gusty", every: 12, of: ["goaway", "jitter", "cut", "interrupt"] },
  { name: "Stormy", every: 8, of: ["goaway", "cut", "interrupt", "expire", "stall"] },
  { name: "Rude", every: 4, of: ["goaway", "cut", "expire", "interrupt", "cut"] },
];

export class Chaos {
  #told: (words: string) => void;
  #failed: (words: string) => void;
  #level = 0;
  #on = false;
  /** Tokens of this conversation that expired on request. */
  #expired = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(told: (words: string) => void, failed: (words: string) => void) {
    this.#told = told;
    this.#failed = failed;
  }

  /** Turns the dial; what it says then. Anything comes only while the conversation is `on`. */
  dial(level: number, on: boolean): { name: string; says: string } {
    const { name, every, of } = weather[level]!;
    if (level !== this.#level || on !== this.#on) {
      clearTimeout(this.#timer);
      if (!this.#on) this.#expired = 0;
      if (on && of.length > 0) this.#next(1_000);
      [this.#level, this.#on] = [level, on];
    }
    return { name, says: of.length === 0 ? `${name}: nothing happens by itself` : `${name}: something every ${every} s or so` };
  }

  async strike(id: string): Promise<void> {
    if (id === "expire") this.#expired++;
    const { words, faults } = troubles[id]!;
    this.#told(`emulator: ${words}`);
    for (const fault of faults) {
      try {
        const { ok, status } = await fetch("/__emulator/fault", {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify(fault),
        });
        // There may be no connection just now; another fault will find one.
        if (!ok && status !== 404) this.#failed(`the emulator refused ${fault.kind} (${status})`);
      } catch {
        this.#failed(`the emulator did not answer ${fault.kind}: is the server running?`);
      }
    }
  }

  #next(inMs: number): void {
    this.#timer = setTimeout(() => {
      const { every, of } = weather[this.#level]!;
      // The issuer renews a lease early twice, and no more: more is the end of the conversation.
      const bearable = of.filter((id) => id !== "expire" || this.#expired < 2);
      const id = bearable[Math.floor(Math.random() * bearable.length)]!;
      void this.strike(id);
      this.#next(every * 1_000 * (0.5 + Math.random()));
    }, inMs);
  }
}
