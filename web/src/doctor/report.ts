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

const counted: State[] = ["ok", "warning", "failed", "skipped"];

/** "11 ok, 1 warning, 0 failed, 0 skipped" */
export function tally(results: Map<string, Result>): string {
  return counted.map((state) => `${[...results.values()].filter((r) => r.state === state).length} ${state}`).join(", ");
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
