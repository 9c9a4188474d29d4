// What a conversation owes to the page around it, and to the other tabs.

import { LiveValetError } from "./errors";

/** Keeps the screen on while it is wanted, and the page seen. */
export class WakeLock {
  #wanted = false;
  #held: Promise<WakeLockSentinel | undefined> | undefined;

  set wanted(wanted: boolean) {
    if (wanted === this.#wanted) return;
    this.#wanted = wanted;
    if (wanted) {
      document.addEventListener("visibilitychange", this.#ask); // Browsers release it when the page is hidden.
      this.#ask();
    } else {
      document.removeEventListener("visibilitychange", this.#ask);
      this.#release();
    }
  }

  #ask = (): void => {
    if (document.visibilityState !== "visible") return;
    this.#release();
    // Not in all browsers, nor when the battery is low.
    this.#held = navigator.wakeLock?.request("screen").catch(() => undefined);
  };

  #release(): void {
    void this.#held?.then((lock) => lock?.release());
    this.#held = undefined;
  }
}

/** The page's claim to be the one of its origin that listens. */
class Ownership {
  /** What this page's microphones are to do when another tab takes over. */
  #users = new Set<() => void>();
  #held: Promise<void> | undefined;
  #release = () => {};
  /** Settled when the lock that was held last is free. */
  #free: Promise<unknown> = Promise.resolve();

  /** Rejects with microphone_elsewhere, unless another tab's is to end. Until drop, taken is called when another tab takes over. */
  take(taken: () => void, takeOver: boolean): Promise<void> {
    this.#users.add(taken);
    return (this.#held ??= this.#ask(takeOver));
  }

  drop(taken: () => void): void {
    if (!this.#users.delete(taken) || this.#users.size > 0) return;
    this.#held = undefined;
    this.#release();
  }

  #ask(takeOver: boolean): Promise<void> {
    const { locks } = navigator;
    if (!locks) return Promise.resolve();
    const claim = new Promise<void>((resolve, reject) => {
      const released = new Promise<void>((release) => (this.#release = release));
      const hold = (lock: Lock | null) => {
        if (!lock) return reject(elsewhere());
        resolve();
        return released;
      };
      this.#free = this.#free
        .then(() => locks.request("livevalet-microphone", takeOver ? { steal: true } : { ifAvailable: true }, hold))
        .catch(() => {
          resolve(); // where there are no locks to have, as in a sandbox, there is no owner
          if (claim === this.#held) this.#lose();
        });
    });
    return claim;
  }

  #lose(): void {
    const users = [...this.#users];
    this.#users.clear();
    this.#held = undefined;
    for (const taken of users) taken();
  }
}

export const ownership = new Ownership();

function elsewhere(): LiveValetError {
  return new LiveValetError({
    code: "microphone_elsewhere",
    phase: "setup",
    message: "another tab of this site uses the microphone: end that conversation, or start with takeOver: true",
    retryable: true,
  });
}
