import { toText, toVTT, type Utterance } from "../../src/demo/record";
import { same, test } from "./harness";

const said = (text: string, begin = 0, end = begin + 2_000, who: Utterance["who"] = "user"): Utterance => ({ who, text, begin, end });

test("record: text has one line each, in order, with times from the begin", () => {
  same(
    toText([said("You said: hello.", 61_500, 63_000, "model"), said("hello", 60_999), said(" ", 5)]),
    "[00:01:00] You: hello\n[00:01:01] Model: You said: hello.\n",
  );
});

test("record: calls are in it, and what was interrupted says so", () => {
  const interrupted = { ...said("A long", 1_000, 1_500, "model"), note: "interrupted, 0.3 s of 2.0 s heard" };
  const kept = [interrupted, said('get_time → {"time":"noon"}', 500, 600, "tool")];
  same(toText(kept), '[00:00:00] Tool: get_time → {"time":"noon"}\n[00:00:01] Model: A long [interrupted, 0.3 s of 2.0 s heard]\n');
  same(toVTT(kept).includes("<v Model>A long [interrupted, 0.3 s of 2.0 s heard]\n"), true);
});

test("record: VTT has a header, and cues that take up time", () => {
  same(
    toVTT([said("hello", 1_234, 1_234), said("Hello Ada.", 3_601_000, 3_603_250.4, "model")]),
    "WEBVTT\n\n00:00:01.234 --> 00:00:02.234\n<v You>hello\n\n01:00:01.000 --> 01:00:03.250\n<v Model>Hello Ada.\n",
  );
  same(toVTT([]), "WEBVTT\n");
});

for (const [name, text, want] of [
  ["marks are no markup", "<b>a & b</b>", "&lt;b&gt;a &amp; b&lt;/b&gt;"],
  ["what is escaped is escaped again", "&amp;", "&amp;amp;"],
  ["an arrow begins no cue", "a --> b", "a --&gt; b"],
  ["an empty line ends no cue", "one\n\n \r\n\rtwo\n", "one\ntwo"],
  ["NUL is not allowed", "a\0b", "a\ufffdb"],
] as const) {
  test(`record: in VTT ${name}`, () => same(toVTT([said(text)]).split("<v You>")[1], `${want}\n`));
}

test("record: a browser reads from a cue what was said", () => {
  const text = "a --> <b>\n&amp; <c.loud>c</c>";
  const [, cue] = toVTT([said(text)]).split(/--> [\d:.]+\n/);
  same(new VTTCue(0, 1, cue!.trimEnd()).getCueAsHTML().textContent, text);
});
