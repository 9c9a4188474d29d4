// Runs checks one after the other. What one finds broken spares those that need it.

export type State = "waiting" | "running" | "ok" | "warning" | "failed" | "skipped";

export interface Finding {
  state: "ok" | "warning" | "failed";
  /** Goes into the report: no secret, and nothing that names a person or a machine. */
  measured: string;
  /** What to do. It stays on the page. */
  advice?: string;
}

export interface Check<Visit> {
  id: string;
  name: string;
  /** What it looks at, shown until there is something measured. */
  about: string;
  /** The checks before it that must not have failed, by their ids. */
  needs: string[];
  /** How long it may take; default 20,000. */
  limit?: number;
  /** What to do if it takes longer. */
  late?: string;
  /** What it rejects with is a failure too. `note` says what it waits for. */
  run(visit: Visit, signal: AbortSignal, note: (text: string) => void): Promise<Finding>;
}

export interface Result {
  state: State;
  measured: string;
  advice?: string | undefined;
  /** Of what was skipped: the name of the check that failed. */
  because?: string;
}

/** Runs all checks, and tells of each whenever something changed. It never rejects. */
export async function examine<Visit>(checks: Check<Visit>[], visit: Visit, tell: (check: Check<Visit>, result: Result) => void): Promise<Map<string, Result>> {
  const results = new Map<string, Result>();
  const set = (check: Check<Visit>, result: Result) => {
    results.set(check.id, result);
    tell(check, result);
  };
  for (const check of checks) set(check, { state: "waiting", measured: check.about });
  for (const check of checks) {
    const because = cause(checks, results, check);
    if (because) {
      set(check, { state: "skipped", measured: `Because of ${because}.`, because });
      continue;
    }
    const note = (text: string) => {
      if (results.get(check.id)!.state === "running") set(check, { state: "running", measured: text });
    };
    set(check, { state: "running", measured: check.about });
    set(check, await find(check, visit, note));
  }
  return results;
}

function cause<Visit>(checks: Check<Visit>[], results: Map<string, Result>, { needs }: Check<Visit>): string | undefined {
  for (const { id, name } of checks) {
    const { state, because } = results.get(id)!;
    if (needs.includes(id) && (state === "failed" || state === "skipped")) return because ?? name;
  }
  return undefined;
}

async function find<Visit>(check: Check<Visit>, visit: Visit, note: (text: string) => void): Promise<Finding> {
  const { limit = 20_000, late = "Check the network, then run the checks again." } = check;
  const signal = AbortSignal.timeout(limit);
  const tooLate = new Promise<Finding>((resolve) => {
    signal.addEventListener("abort", () => resolve({ state: "failed", measured: `No end within ${limit / 1_000} s.`, advice: late }));
  });
  // A check that heeds the signal rejects when it is late; that says less.
  const found = check.run(visit, signal, note).catch((error: unknown) => (signal.aborted ? tooLate : broken(error)));
  return Promise.race([found, tooLate]);
}

/** What an exception says. Of its text, which may hold anything, nothing is measured. */
export function broken(error: unknown): Finding {
  const { name, message, code, phase, closeCode } = error as Error & { code?: unknown; phase?: string; closeCode?: number };
  const words = [`Error ${typeof code === "string" ? code : name}`];
  if (phase) words.push(`phase ${phase}`);
  if (closeCode) words.push(`close code ${closeCode}`);
  return { state: "failed", measured: `${words.join(", ")}.`, advice: sentence(message) };
}

/** Messages of errors begin small, unless with the name of a file, and end without a stop. */
export function sentence(text: string): string {
  return text && text.replace(/^[a-z](?=[a-z']*[\s,:])/, (letter) => letter.toUpperCase()).replace(/[.\s]*$/, ".");
}
