import { LifelineView } from "../../src/demo/draw";
import { Lifeline } from "../../src/demo/lifeline";
import { same, test } from "./harness";

test("lifeline: a short conversation fills the view, and of a long one only what is near is drawn", () => {
  const scroller = document.createElement("div");
  scroller.style.cssText = "width: 1000px; height: 232px; overflow: auto hidden";
  document.documentElement.append(scroller);
  const view = new LifelineView(scroller, document.createElement("p"), document.createElement("button"), () => {});
  const drawn = (minutes: number, span: number) => {
    const now = performance.now();
    const life = new Lifeline(now - minutes * 60_000);
    for (let at = life.begin; at < now; at += 1_000) life.take({ type: "dropped", detail: { ms: 20 } }, at);
    view.span = span;
    view.show(life);
    const svg = scroller.firstElementChild!;
    return [svg.getAttribute("width"), svg.querySelectorAll("[data-kind=dropped]").length];
  };
  same(drawn(0.25, 600_000), ["1000", 15]);
  const [width, marks] = drawn(20, 60_000);
  same(Number(width) > 18_000 && Number(marks) > 60 && Number(marks) < 200, true);
});
