import type { Check, Result, State } from "./examine";

/** What a report says besides the checks. */
export interface Facts {
  at: Date;
  userAgent: string;
  /** Of the server; absent if it did not say. */
  server?: Server | undefined;
}

/** The answer of /version. */
export interface Server {
  version: string;
  commit?: string;
  go: string;
  upstream: string;
}

const counted: [State, string][] = [["ok", "ok"], ["warning", "with a warning"], ["failed", "failed"], ["skipped", "skipped"]];

/** Such as "11 ok, 1 with a warning". */
export function tally(results: Map<string, Result>): string {
  const all = [...results.values()];
  const counts = counted.map(([state, words]) => [all.filter((r) => r.state === state).length, words] as const);
  return counts.flatMap(([n, words]) => (n > 0 ? `${n} ${words}` : [])).join(", ");
}

/**
 * What somebody can show to others: only what was measured, as advice may repeat
 * what a server said.
 */
export function report(checks: Check<never>[], results: Map<string, Result>, { at, userAgent, server }: Facts): string {
  const version = server ? [`livevalet ${server.version}`, server.commit?.slice(0, 12), server.go, `upstream ${server.upstream}`] : ["unknown"];
  const lines = checks.map(({ id, name }) => {
    const { state, measured } = results.get(id)!;
    return `${state.padEnd(8)} ${name}: ${measured}`;
  });
  return [
    `LiveValet doctor, ${at.toISOString()}`,
    `Result: ${tally(results)}`,
    `Server: ${version.filter(Boolean).join(", ")}`,
    `Browser: ${userAgent}`,
    "",
    ...lines,
    "",
  ].join("\n");
}
