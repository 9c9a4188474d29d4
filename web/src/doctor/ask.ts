// Requests, and what the page's content security policy has to do with those that fail.

const violations = new Set<string>();

/** Has violations of the policy noted from now on. */
export function watchPolicy(): void {
  addEventListener("securitypolicyviolation", ({ effectiveDirective, blockedURI }) => {
    // A keyword such as "wasm-eval", or an address, which may hold anything.
    violations.add(`${effectiveDirective} forbids ${blockedURI.includes(":") ? "an address" : blockedURI || "something"}`);
  });
}

/** What the policy has forbidden so far; browsers tell a moment after it has failed. */
export async function forbidden(): Promise<string[]> {
  await new Promise((resolve) => setTimeout(resolve, 50));
  return [...violations];
}

/** Whether a conversation needs it: else it may be of a browser's extension. */
export function matters(violation: string): boolean {
  return /^(script|worker|connect)-src/.test(violation);
}

/** Fetches past the cache, and names who is to blame if there is no answer. */
export async function ask(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, { cache: "no-store", ...init });
  } catch {
    const stopped = (await forbidden()).some((what) => what.startsWith("connect-src"));
    throw stopped
      ? Object.assign(new Error("the page's policy forbids it: see the check of the policy"), { code: "forbidden_by_policy" })
      : Object.assign(new Error("the server does not answer: check that it runs, and the network"), { code: "network" });
  }
}
