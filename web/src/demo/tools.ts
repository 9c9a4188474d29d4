// Two harmless functions of this page that the model may call, and a card in the
// conversation for each call, theirs or another's.

import type { FunctionDeclaration, FunctionCall, Session, ToolCall, ToolCallDetail } from "/livevalet.js";
import type { Captions } from "./captions";
import type { Utterance } from "./record";

/** They count where the profile leaves tools to the page. */
export const declarations: FunctionDeclaration[] = [
  { name: "get_time", description: "Tells the visitor's date, time of day and time zone." },
  {
    name: "set_theme",
    description: "Makes the page light or dark. The visitor is asked first.",
    parameters: { type: "OBJECT", properties: { theme: { type: "STRING", enum: ["dark", "light"] } }, required: ["theme"] },
  },
];

const outcomes: Record<ToolCallDetail["state"], string> = {
  called: "Called",
  answered: "Answered",
  cancelled: "Withdrawn by the model",
  orphaned: "Forgotten over a cut",
};

export class ToolCards {
  #captions: Captions;
  #cards = new Map<string, Card>();
  #announce: (text: string) => void;

  constructor(captions: Captions, announce: (text: string) => void) {
    this.#captions = captions;
    this.#announce = announce;
  }

  /** Answers the calls of a conversation, and shows all that it has. */
  serve(session: Session): void {
    this.#cards.clear();
    session.tools.add({
      name: "get_time",
      handler: (_, call) => this.#card(call.id, call.name).gave(now()),
    });
    session.tools.add({
      name: "set_theme",
      approve: (args, call) => {
        const question = `Make the page ${theme(args)}?`;
        this.#announce(`${call.name}: ${question}`);
        return this.#card(call.id, call.name).ask(question, call);
      },
      handler: (args, call) => {
        document.documentElement.dataset.theme = theme(args);
        return this.#card(call.id, call.name).gave({ theme: theme(args) });
      },
    });
    session.addEventListener("message", ({ detail }) => {
      for (const call of detail.toolCall?.functionCalls ?? []) this.#card(call.id!, call.name!).called(call);
    });
    session.addEventListener("toolcall", ({ detail: { id, name, state } }) => this.#card(id, name).is(state));
  }

  #card(id: string, name: string): Card {
    let card = this.#cards.get(id);
    if (!card) {
      card = new Card(name);
      this.#cards.set(id, card);
      this.#captions.add(card.element, card, performance.now());
    }
    return card;
  }
}

class Card implements Utterance {
  readonly who = "tool";
  begin = 0;
  end = 0;
  readonly element = document.createElement("div");
  #title = document.createElement("b");
  #args = document.createElement("code");
  #state = document.createElement("p");
  #answer = document.createElement("code");
  #denied = false;

  constructor(name: string) {
    this.#title.textContent = name;
    this.#state.textContent = outcomes.called;
    this.element.className = "card";
    this.element.dataset.tool = name;
    this.element.append(this.#title, this.#args, this.#state, this.#answer);
  }

  get text(): string {
    const parts = [this.#title, this.#args, this.#answer.textContent ? this.#answer : this.#state];
    return parts.map(({ textContent }) => textContent).filter(Boolean).join(" ");
  }

  called({ args }: FunctionCall): void {
    this.#args.textContent = args && Object.keys(args).length > 0 ? JSON.stringify(args) : "";
  }

  gave<T extends object>(result: T): T {
    this.#answer.textContent = `→ ${JSON.stringify(result)}`;
    return result;
  }

  is(state: ToolCallDetail["state"]): void {
    this.element.dataset.state = state;
    if (state !== "called") this.#state.textContent = this.#denied ? "Not allowed" : outcomes[state];
  }

  /** Resolves with what the visitor says; that nobody wants to know any more is a no. */
  ask(question: string, { signal }: ToolCall): Promise<boolean> {
    const asked = document.createElement("p");
    const choice = document.createElement("div");
    choice.className = "choice";
    choice.setAttribute("role", "group");
    choice.ariaLabel = asked.textContent = question;
    // The outcome takes the place of the buttons, so that nothing moves.
    this.#state.replaceWith(asked, choice);
    return new Promise<boolean>((resolve) => {
      const settle = (allowed: boolean) => {
        this.#denied = !allowed && !signal.aborted;
        if (choice.contains(document.activeElement)) this.element.closest<HTMLElement>("[tabindex]")?.focus();
        this.#state.textContent = "";
        choice.replaceChildren(this.#state);
        resolve(allowed);
      };
      for (const [text, allowed] of [["Allow", true], ["Don’t allow", false]] as const) {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = text;
        button.addEventListener("click", () => settle(allowed));
        choice.append(button);
      }
      signal.addEventListener("abort", () => settle(false));
    });
  }
}

function now(): object {
  const date = new Date();
  return { time: date.toLocaleString([], { dateStyle: "full", timeStyle: "short" }), zone: Intl.DateTimeFormat().resolvedOptions().timeZone };
}

function theme({ theme }: Record<string, unknown>): string {
  return theme === "dark" ? "dark" : "light";
}
