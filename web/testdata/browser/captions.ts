import { Aloud } from "../../src/demo/aloud";
import { Captions } from "../../src/demo/captions";
import { after, same, test } from "./harness";

function place(style: string): HTMLElement {
  const element = document.createElement("div");
  element.style.cssText = style;
  document.documentElement.append(element);
  return element;
}

const model = { id: "1", who: "model", text: "", final: false } as const;

test("captions: what somebody has selected stays selected while the line grows", () => {
  const log = place("");
  const captions = new Captions(log);
  captions.show({ ...model, text: "one two" }, 0);
  const words = log.querySelector("span")!.firstChild!;
  getSelection()!.setBaseAndExtent(words, 4, words, 7);
  captions.show({ ...model, text: "one two three" }, 1);
  same(String(getSelection()), "two");
  same(log.textContent, "Modelone two three");
});

test("captions: a line reads in the direction of its words", () => {
  const log = place("");
  new Captions(log).show({ ...model, text: "שלום Ada" }, 0);
  same(getComputedStyle(log.querySelector("span")!).direction, "rtl");
});

test("captions: an interrupted line says how much was heard, whichever is known first", () => {
  const captions = new Captions(place(""));
  const heard = { ms: 1_200, of: 3_000, interrupted: true };
  const note = "interrupted, 1.2\u00a0s of 3.0\u00a0s heard";
  captions.show({ ...model, text: "A long", final: true, interrupted: true }, 100);
  captions.heard({ ...heard, utterance: "1" }, 300);
  captions.show({ ...model, id: "2", text: "A long" }, 400);
  captions.heard({ ...heard, utterance: "2" }, 500);
  captions.show({ ...model, id: "2", text: "A long story", final: true, interrupted: true }, 510);
  same(captions.said.map(({ text, begin, end, note }) => [text, begin, end, note]), [["A long", 100, 300, note], ["A long story", 400, 510, note]]);
});

test("captions: the end stays in view, unless somebody reads what was before", async () => {
  const log = place("height: 120px; overflow: auto");
  const captions = new Captions(log);
  const frames = async () => {
    for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame);
  };
  const below = () => log.scrollHeight - log.scrollTop - log.clientHeight;
  const say = (id: number) => captions.show({ ...model, id: String(id), text: "line" }, id);
  for (let i = 0; i < 20; i++) say(i);
  await Promise.resolve(); // it scrolls, and before that is told it is made smaller
  log.style.height = "40px";
  await frames();
  same(below() < 2, true);
  log.scrollTop = 0;
  await frames();
  say(20);
  await frames();
  same(log.scrollTop, 0);
});

test("aloud: a state that only passes is not told, nor that its figures change", async () => {
  const region = place("");
  const aloud = new Aloud(region);
  for (const text of ["Connecting …", "Hangs up in 30 s", "Hangs up in 29 s"]) aloud.state(text);
  await after(1_000);
  aloud.state("Hangs up in 28 s");
  await after(1_000);
  same(region.textContent, "Hangs up in 30 s");
});
