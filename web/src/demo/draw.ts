// Draws a lifeline, as wide as it is long: whoever wants to look back scrolls.

import { lanes, type Item, type Kind, type Lane, type Lifeline } from "./lifeline";
import { clock, short } from "./words";

/** Where a lane's bars are: top and height in pixels. */
const places: Record<Lane, { y: number; h: number }> = {
  token: { y: 12, h: 9 },
  connection: { y: 64, h: 12 },
  you: { y: 104, h: 12 },
  model: { y: 138, h: 12 },
  tool: { y: 178, h: 10 },
};
const height = 222;
/** What is drawn above or below the bars of its lane, from their middle. */
const beside: Partial<Record<Kind, number>> = { goaway: -28, handle: 12, fault: 22 };
const secondRow = 12;
/** The part of the view that is kept for what is to come. */
const ahead = 0.1;
/** What a short conversation fills, in milliseconds; a longer one twice of it, and so on. */
const least = 30_000;
/** SVG becomes slow beyond so many pixels. */
const widest = 60_000;

const steps = [5, 10, 20, 30, 60, 120, 300, 600, 1_200, 3_600].map((s) => s * 1_000);

export class LifelineView {
  /** The most milliseconds that fill the view; Infinity for all of it. */
  #span = 60_000;
  #life: Lifeline | undefined;
  #shapes = new Map<Item, { group: SVGGElement; form: string }>();
  #selected: Item | undefined;
  #following = true;
  /** Pixels for a millisecond. */
  #scale = 0;

  #scroller: HTMLElement;
  #readout: HTMLElement;
  #toNow: HTMLElement;
  #announce: (text: string) => void;
  #svg = svg("svg", { width: "100%", height, "aria-hidden": "true" });
  #axis = svg("g", { class: "axis" });
  #drawn = svg("g", {});
  #cursor = svg("line", { class: "cursor", y1: 0, y2: height - 22 });
  #now = svg("line", { class: "now", x1: -9, x2: -9, y1: 0, y2: height - 22 });

  constructor(scroller: HTMLElement, readout: HTMLElement, toNow: HTMLElement, announce: (text: string) => void) {
    this.#scroller = scroller;
    this.#readout = readout;
    this.#toNow = toNow;
    this.#announce = announce;
    for (const lane of lanes) {
      const y = middle(lane);
      this.#svg.append(svg("line", { class: "base", x1: 0, x2: "100%", y1: y, y2: y }));
    }
    this.#svg.append(this.#axis, this.#now, this.#cursor, this.#drawn);
    scroller.append(this.#svg);

    scroller.addEventListener("scroll", () => {
      this.#following = scroller.scrollLeft + scroller.clientWidth >= scroller.scrollWidth - 8;
      this.#toNow.toggleAttribute("data-on", !this.#following);
      if (!this.#following) this.draw();
    });
    for (const type of ["pointermove", "pointerdown"] as const) scroller.addEventListener(type, (event) => this.#select(this.#near(event)));
    // A finger leaves when it is lifted.
    scroller.addEventListener("pointerleave", ({ pointerType }) => pointerType === "mouse" && this.#select(undefined));
    scroller.addEventListener("blur", () => this.#select(undefined));
    scroller.addEventListener("keydown", (event) => this.#step(event));
    toNow.addEventListener("click", () => this.follow());
  }

  show(life: Lifeline): void {
    this.#life = life;
    this.#readout.toggleAttribute("data-begun", true);
    this.#select(undefined);
    this.follow();
  }

  set span(ms: number) {
    this.#span = ms;
    this.follow();
  }

  /** Goes with the time again. */
  follow(): void {
    this.#following = true;
    this.#toNow.removeAttribute("data-on");
    this.draw();
  }

  draw(): void {
    const life = this.#life;
    const view = this.#scroller.clientWidth;
    if (!life || view === 0) return;
    const now = life.end ?? performance.now();
    const lasted = now - life.begin;
    this.#scale = ((1 - ahead) * view) / this.#window(lasted, view);
    const width = Math.max(view, Math.round(lasted * this.#scale + ahead * view));
    set(this.#svg, { width });
    const x = this.#x(now);
    set(this.#now, { x1: x, x2: x });
    // Of a long conversation, only what is near the view.
    const middle = (this.#following ? width - view : this.#scroller.scrollLeft) + view / 2;
    const [from, to] = [middle - 1.5 * view, middle + 1.5 * view];
    this.#drawAxis(from, Math.min(to, width));

    const labelled: Partial<Record<Lane, number>> = {};
    const near = new Set<Item>();
    for (const item of life.items) {
      if (this.#x(item.end ?? Math.max(now, item.due ?? 0)) < from || this.#x(item.begin) > to) continue;
      near.add(item);
      this.#drawItem(item, now, labelled);
    }
    for (const [item, { group }] of this.#shapes) {
      if (near.has(item)) continue;
      group.remove();
      this.#shapes.delete(item);
    }
    if (this.#selected) this.#tell(this.#selected);
    if (this.#following) this.#scroller.scrollLeft = this.#scroller.scrollWidth;
  }

  /** The milliseconds that fill the view. It grows by leaps: each draws everything anew. */
  #window(lasted: number, view: number): number {
    let window = least;
    while (window < Math.min(lasted, this.#span)) window *= 2;
    window = Math.min(window, this.#span);
    while (lasted * view > window * widest) window *= 2;
    return window;
  }

  #x(at: number): number {
    return round(8 + (at - this.#life!.begin) * this.#scale);
  }

  #drawAxis(from: number, to: number): void {
    const step = steps.find((ms) => ms * this.#scale >= 72) ?? steps.at(-1)!;
    const first = Math.max(0, Math.floor(from / (step * this.#scale)));
    const last = Math.floor((to - 52) / (step * this.#scale));
    const form = `${step} ${round(this.#scale * 1e6)} ${first} ${last}`;
    if (this.#axis.dataset.form === form) return;
    this.#axis.dataset.form = form;
    const ticks = [];
    for (let i = first; i <= last; i++) {
      const x = round(8 + i * step * this.#scale);
      const text = svg("text", { x: x + 4, y: height - 6 });
      text.textContent = clock(i * step);
      ticks.push(svg("line", { x1: x, x2: x, y1: 0, y2: height - 4 }), text);
    }
    this.#axis.replaceChildren(...ticks);
  }

  #drawItem(item: Item, now: number, labelled: Partial<Record<Lane, number>>): void {
    const begin = this.#x(item.begin);
    const end = this.#x(item.end ?? now);
    let label = item.label;
    if (label !== undefined) {
      if (begin < (labelled[item.lane] ?? 0)) label = undefined;
      else labelled[item.lane] = begin + 7 * label.length + 8;
    }
    const due = item.due !== undefined && item.due > (item.end ?? now) && item.end === undefined ? this.#x(item.due) : undefined;
    const form = `${begin} ${end} ${item.end === undefined} ${due} ${label}`;
    let shape = this.#shapes.get(item);
    if (shape?.form === form) return;
    if (!shape) {
      shape = { group: svg("g", { class: "item" }), form };
      shape.group.dataset.lane = item.lane;
      shape.group.dataset.kind = item.kind;
      shape.group.toggleAttribute("data-selected", item === this.#selected);
      this.#drawn.append(shape.group);
      this.#shapes.set(item, shape);
    }
    shape.form = form;
    shape.group.toggleAttribute("data-open", item.end === undefined);
    shape.group.replaceChildren(...draw(item, begin, end, due, label));
  }

  // ---- the words of a mark -------------------------------------------------

  #near(event: PointerEvent): Item | undefined {
    if (!this.#life) return undefined;
    const box = this.#svg.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const now = this.#life.end ?? performance.now();
    let nearest: Item | undefined;
    let close = 14;
    for (const item of this.#life.items) {
      const away = Math.max(0, this.#x(item.begin) - x, x - this.#x(item.end ?? now)) + Math.max(0, Math.abs(y - middle(item.lane, item.row) - (beside[item.kind] ?? 0)) - 8);
      const moment = item.begin === item.end ? 5 : 0; // or the bar that it is on always wins
      if (away - moment >= close) continue;
      [nearest, close] = [item, away - moment];
    }
    return nearest;
  }

  #step(event: KeyboardEvent): void {
    const items = [...(this.#life?.items ?? [])].sort((a, b) => a.begin - b.begin);
    const at = this.#selected ? items.indexOf(this.#selected) : items.length;
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: items.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const item = items[Math.min(Math.max(to, 0), items.length - 1)];
    if (!item) return;
    this.#select(item);
    this.#announce(this.#readout.textContent);
    const x = this.#x(item.begin);
    const { scrollLeft, clientWidth } = this.#scroller;
    if (x < scrollLeft + 20 || x > scrollLeft + clientWidth - 20) this.#scroller.scrollLeft = x - clientWidth / 2;
  }

  #select(item: Item | undefined): void {
    if (item === this.#selected && item !== undefined) return;
    if (this.#selected) this.#shapes.get(this.#selected)?.group.removeAttribute("data-selected");
    this.#selected = item;
    this.#cursor.toggleAttribute("data-on", item !== undefined);
    if (!item) {
      this.#readout.replaceChildren();
      return;
    }
    this.#shapes.get(item)?.group.toggleAttribute("data-selected", true);
    this.#tell(item);
  }

  #tell(item: Item): void {
    const x = this.#x(item.begin);
    set(this.#cursor, { x1: x, x2: x });
    const { begin } = this.#life!;
    const lasted = item.end === undefined ? ", goes on" : item.end > item.begin && item.kind !== "gap" && item.kind !== "latency" ? `, for ${short(item.end - item.begin)}` : "";
    const text = `${clock(item.begin - begin)}\u2002${item.words}${lasted}`;
    if (this.#readout.textContent !== text) this.#readout.textContent = text;
  }
}

function middle(lane: Lane, row = 0): number {
  const { y, h } = places[lane];
  return y + row * secondRow + h / 2;
}

/** The shapes of an item, between two positions. */
function draw({ lane, kind, row = 0 }: Item, begin: number, end: number, due: number | undefined, label: string | undefined): SVGElement[] {
  const { h } = places[lane];
  const y = places[lane].y + row * secondRow;
  const m = y + h / 2;
  const bar = (least = 2) => svg("rect", { x: begin, y, width: Math.max(end - begin, least), height: h, rx: Math.min(h / 2, 4) });
  const says = (x: number, at: number) => {
    if (label === undefined) return [];
    const text = svg("text", { x, y: at });
    text.textContent = label;
    return [text];
  };
  switch (kind) {
    case "token":
      return due === undefined ? [bar()] : [svg("line", { class: "due", x1: end, x2: due, y1: m, y2: m }), bar()];
    case "minted":
    case "renewed":
      return [svg("circle", { class: "ring", cx: begin, cy: m, r: 5 })];
    case "opened":
      return [svg("circle", { cx: begin, cy: m, r: 2.5 })];
    case "expired":
      return [cross(begin, m)];
    case "live":
    case "waiting":
      return due === undefined ? [bar()] : [svg("line", { class: "due", x1: end, x2: due, y1: m, y2: m }), bar()];
    case "gap":
      return [bar(3), ...says(begin, y - 6)];
    case "goaway":
      return [svg("line", { class: "due", x1: begin, x2: begin, y1: y - 20, y2: y }), svg("path", { d: `M${begin} ${y - 26}l9 4l-9 4z` })];
    case "handle":
      return [svg("line", { x1: begin, x2: begin, y1: y + h + 3, y2: y + h + 9 })];
    case "fault":
      return [svg("path", { d: `M${begin} ${m + 17}l5 5l-5 5l-5-5z` })];
    case "replay":
      return [svg("circle", { class: "ring", cx: begin, cy: m, r: 4 })];
    case "end":
      return [svg("line", { x1: begin, x2: begin, y1: y - 4, y2: y + h + 4 })];
    case "typed":
      return [svg("circle", { cx: begin, cy: m, r: 5 })];
    case "dropped":
      return [cross(begin, m)];
    case "latency": {
      const from = places.you.y + places.you.h;
      return [svg("path", { d: `M${begin} ${from}C${begin} ${from + 12} ${end} ${y - 14} ${end} ${y}` }), ...says(end, y + h + 14)];
    }
    case "barge-in":
      return [svg("line", { x1: begin - 4, x2: begin + 4, y1: y + h + 4, y2: y - 4 })];
    case "silence":
      return [svg("circle", { class: "ring", cx: begin, cy: m, r: 5 })];
    default:
      return [bar(kind === "call" ? 6 : 3)];
  }
}

function cross(x: number, y: number): SVGElement {
  return svg("path", { class: "cross", d: `M${x - 4} ${y - 4}l8 8m0-8l-8 8` });
}

function round(x: number): number {
  return Math.round(x * 10) / 10;
}

function svg<K extends keyof SVGElementTagNameMap>(name: K, attributes: Record<string, string | number>): SVGElementTagNameMap[K] {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  set(element, attributes);
  return element;
}

function set(element: SVGElement, attributes: Record<string, string | number>): void {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
}
