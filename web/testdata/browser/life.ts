import { connect } from "/livevalet.js";
import { within } from "./api";
import { rejection, same, test, until } from "./harness";

/** All fields of messages with that one. */
function told(session: EventTarget, field: string): any[] {
  const seen: any[] = [];
  session.addEventListener("message", ({ detail }: any) => field in detail && seen.push(detail[field]));
  return seen;
}

for (const [idle, want] of [
  [undefined, undefined],
  [false, { after: -1 }],
  [{ after: 2_000 }, { after: 2_000 }],
  [{ after: 2_000, warn: 500 }, { after: 2_000, warn: 500 }],
] as const) {
  test(`the engine is told when to hang up: ${JSON.stringify(idle)}`, () =>
    within({ idle }, async (session) => {
      const opened = told(session, "opened");
      await until(() => opened.length > 0, "what it was opened with");
      same(opened[0].idle, want);
    }));
}

test("limits that are none are refused", async () => {
  for (const idle of [true, null, { after: 0 }, { after: Infinity }, { warn: "1s" }] as any[]) {
    same((await rejection(connect({ idle }))).code, "invalid_request");
  }
});

test("the application hears the last seconds, and stays", () =>
  within({}, async (session) => {
    const stayed = told(session, "stayed");
    session.addEventListener("idle", ({ detail }) => {
      same(detail, { msLeft: 3_000, ended: false });
      session.stay();
    });
    await session.sendRealtimeInput({ text: `!emit ${JSON.stringify({ type: "idle", msLeft: 3_000, ended: false })}` });
    await until(() => stayed.length === 1, "the engine's word");
  }));
