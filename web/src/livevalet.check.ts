// Holds livevalet.d.ts and the implementation equal. Only tsc reads this file.

import * as built from "./livevalet";
import type * as declared from "/livevalet.js";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
type Public<T> = Pick<T, keyof T>;

function equal<A, B>(_: Equal<A, B>): void {}

equal<keyof typeof built, keyof typeof declared>(true);
equal<Parameters<typeof built.connect>, Parameters<typeof declared.connect>>(true);
equal<ReturnType<typeof built.preload>, ReturnType<typeof declared.preload>>(true);
equal<Public<built.Session>, Public<declared.Session>>(true);
equal<Public<built.LiveValetError>, Public<declared.LiveValetError>>(true);
equal<ConstructorParameters<typeof built.LiveValetError>, ConstructorParameters<typeof declared.LiveValetError>>(true);

// And what connect gives is what it says.
const session: Public<declared.Session> = {} as Awaited<ReturnType<typeof built.connect>>;

// A handler says what the arguments of its function are, or takes any.
session.tools.add({ name: "get_time", handler: ({ zone }: { zone: string }) => zone, approve: ({ zone }) => zone !== "" });
session.tools.add({
  name: "watch",
  async *handler(args, { answer, signal }) {
    while (!signal.aborted) yield answer(args.item, "SILENT");
  },
});
