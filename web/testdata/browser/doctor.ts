import { examine, type Check, type Finding, type Result } from "../../src/doctor/examine";
import { report, tally } from "../../src/doctor/report";
import { same, test } from "./harness";

const ok: Finding = { state: "ok", measured: "Fine." };

function check(id: string, run: Check<string[]>["run"], needs: string[] = [], more: Partial<Check<string[]>> = {}): Check<string[]> {
  return { id, name: id.toUpperCase(), about: `About ${id}.`, needs, run, ...more };
}

async function states(checks: Check<string[]>[], visit: string[] = []): Promise<Record<string, string>> {
  const results = await examine(checks, visit, () => {});
  return Object.fromEntries([...results].map(([id, { state, measured }]) => [id, `${state}: ${measured}`]));
}

test("the doctor's checks run one after the other, and each tells how it goes", async () => {
  const told: string[] = [];
  const busy = async (visit: string[], _: AbortSignal, note: (text: string) => void): Promise<Finding> => {
    visit.push("begin");
    note("Halfway.");
    await Promise.resolve();
    visit.push("end");
    return ok;
  };
  const visit: string[] = [];
  await examine([check("a", busy), check("b", busy)], visit, ({ id }, { state, measured }: Result) => told.push(`${id} ${state}: ${measured}`));
  same(visit, ["begin", "end", "begin", "end"]);
  same(told, [
    "a waiting: About a.", "b waiting: About b.",
    "a running: About a.", "a running: Halfway.", "a ok: Fine.",
    "b running: About b.", "b running: Halfway.", "b ok: Fine.",
  ]);
});

test("a check is skipped because of the first that failed, and a warning spares nobody", async () => {
  const run = (state: Finding["state"]) => async (): Promise<Finding> => ({ state, measured: "Measured." });
  same(
    await states([
      check("a", run("warning")),
      check("b", run("failed"), ["a"]),
      check("c", run("ok"), ["a"]),
      check("d", run("ok"), ["b"]),
      check("e", run("ok"), ["c", "d"]),
    ]),
    { a: "warning: Measured.", b: "failed: Measured.", c: "ok: Measured.", d: "skipped: Because of B.", e: "skipped: Because of B." },
  );
});

test("of an exception the doctor measures the code, and not the text", async () => {
  const secret = Object.assign(new Error("auth_tokens/secret is refused"), { code: "network", phase: "dial", closeCode: 1006 });
  const checks = [check("a", () => Promise.reject(secret)), check("b", () => Promise.reject(new TypeError("secret")))];
  const results = await examine(checks, [], () => {});
  same([...results.values()].map(({ measured }) => measured), ["Error network, phase dial, close code 1006.", "Error TypeError."]);
  same(results.get("a")!.advice, "auth_tokens/secret is refused.");
  const text = report(checks, results, { at: new Date(0), userAgent: "Browser/1" });
  same(text, "LiveValet doctor, 1970-01-01T00:00:00.000Z\nResult: 2 failed\nServer: unknown\nBrowser: Browser/1\n\n" +
    "failed   A: Error network, phase dial, close code 1006.\nfailed   B: Error TypeError.\n");
});

test("a check that never ends, or that heeds its signal, fails when its time is up", async () => {
  const late = { limit: 20, late: "Wait no more." };
  const checks = [
    check("a", () => new Promise(() => {}), [], late),
    check("b", (_, signal) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))), [], late),
    check("c", async () => ok),
  ];
  const results = await examine(checks, [], () => {});
  const timely = { state: "failed", measured: "No end within 0.02 s.", advice: "Wait no more." };
  same(Object.fromEntries(results), { a: timely, b: timely, c: ok });
  same(tally(results), "1 ok, 2 failed");
});
