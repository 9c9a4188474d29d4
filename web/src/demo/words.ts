// Times, and what it took to go on, in words.

/** What it took to resume, by its rung. */
export const rungs = { handle: "the same token", token: "a new token", restart: "a new session" };

/** As "1:05", to the second. */
export function clock(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** As "84 ms", "2.0 s" or "12 s", in one line. */
export function short(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms)}\u00a0ms` : seconds(ms);
}

export function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(ms < 10_000 ? 1 : 0)}\u00a0s`;
}
