// Names the tests and says how each ended; the Go side runs them one by one.

type Test = () => unknown;

/** How long a test may take for anything, and for all: a busy machine is slow, and only what hangs is to get there. */
const [patience, limit] = [30_000, 60_000];

const tests = new Map<string, Test>();
const stray: string[] = [];

addEventListener("unhandledrejection", (event) => stray.push(`unhandled rejection: ${event.reason}`));
addEventListener("error", (event) => stray.push(`uncaught: ${event.message}`));
addEventListener("securitypolicyviolation", (event) => stray.push(`policy violation: ${event.violatedDirective} ${event.blockedURI}`));

export function test(name: string, run: Test): void {
  if (tests.has(name)) throw new Error(`two tests are called ${name}`);
  tests.set(name, run);
}

export function names(): string[] {
  return [...tests.keys()];
}

/** The empty string, or why the test failed. */
export async function run(name: string): Promise<string> {
  try {
    await Promise.race([tests.get(name)!(), after(limit).then(() => fail(`not done within ${limit} ms`))]);
    await after(0); // Stray rejections are reported a task later.
    if (stray.length > 0) fail(stray.splice(0).join("; "));
    return "";
  } catch (error) {
    return error instanceof Error ? `${error.message}\n${error.stack}` : String(error);
  }
}

/** Errors that the test itself caused and expects. */
export function strayErrors(): string[] {
  return stray.splice(0);
}

export function fail(why: string): never {
  throw new Error(why);
}

export function same(got: unknown, want: unknown, what = "value"): void {
  const [a, b] = [canonical(got), canonical(want)];
  if (a !== b) fail(`${what}:\n got ${a}\nwant ${b}`);
}

export async function rejection(promise: Promise<unknown>): Promise<any> {
  return promise.then(
    (value) => fail(`resolved with ${canonical(value)}`),
    (error) => error,
  );
}

export function thrown(act: () => unknown): any {
  try {
    act();
  } catch (error) {
    return error;
  }
  fail("nothing was thrown");
}

export function after(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export async function until(condition: () => unknown, what: string): Promise<void> {
  for (const end = performance.now() + patience; !(await condition()); await after(10)) {
    if (performance.now() > end) fail(`waited in vain for ${what}`);
  }
}

/** JSON with sorted keys; undefined is told from null. */
function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_, inner) =>
      typeof inner === "object" && inner !== null && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
        : inner,
    ) ?? "undefined"
  );
}
