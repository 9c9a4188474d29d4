// Draws the doctor's page; the checks themselves stand beside it.

import { watchPolicy } from "./ask";
import { examine, type Check, type Result, type State } from "./examine";
import { pageChecks } from "./page";
import { report, tally } from "./report";
import { serviceChecks } from "./service";
import { soundChecks } from "./sound";
import { Visit } from "./visit";

const checks: Check<Visit>[] = [...pageChecks, ...soundChecks, ...serviceChecks];

const words: Record<State, string> = { waiting: "Waiting", running: "Running", ok: "OK", warning: "Warning", failed: "Failed", skipped: "Skipped" };

const element = <T extends HTMLElement = HTMLElement>(id: string) => document.getElementById(id) as T;
const start = element<HTMLButtonElement>("start");
const text = element<HTMLTextAreaElement>("report-text");

function draw(check: Check<Visit>, { state, measured, advice = "" }: Result): void {
  const item = element(check.id);
  item.dataset.state = state;
  for (const [part, content] of Object.entries({ state: words[state], measured, advice })) {
    const line = item.querySelector<HTMLElement>(`.${part}`)!;
    line.textContent = content;
    line.hidden = content === "";
  }
  if (state === "running") say(`${checks.indexOf(check) + 1} of ${checks.length}: ${check.name}. ${measured}`);
}

function list(): void {
  for (const check of checks) {
    const item = element<HTMLTemplateElement>("check").content.firstElementChild!.cloneNode(true) as HTMLElement;
    item.id = check.id;
    item.querySelector(".name")!.textContent = check.name;
    element("checks").append(item);
    draw(check, { state: "waiting", measured: check.about });
  }
}

function say(text: string): void {
  element("progress").textContent = text;
}

async function run(): Promise<void> {
  const visit = new Visit(); // in the click, before any await
  start.ariaDisabled = "true"; // a button that is disabled loses the keyboard
  element("report").hidden = true;
  const results = await examine(checks, visit, draw);
  text.value = report(checks, results, { at: new Date(), userAgent: navigator.userAgent, server: visit.server });
  element("copied").textContent = "";
  element("report").hidden = false;
  say(`Done: ${tally(results)}.`);
  await visit.end();
  start.ariaDisabled = null;
}

async function copy(): Promise<void> {
  try {
    await navigator.clipboard.writeText(text.value);
    element("copied").textContent = "Copied.";
  } catch {
    text.select();
    element("copied").textContent = "The browser does not allow it. The text is selected: copy it with the keyboard.";
  }
}

watchPolicy();
list();
start.addEventListener("click", () => void (start.ariaDisabled || run()));
element("copy").addEventListener("click", () => void copy());
start.disabled = false;
say("Nothing has been checked yet.");
