// Two harmless functions of this page that the model may call, and a card in the
// conversation for each call, theirs or another's.

import type { FunctionDeclaration, FunctionCall, Session, ToolCall, ToolCallDetail } from "/livevalet.js";
import type { Captions } from "./captions";

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
  #log: HTMLElement;
  #captions: Captions;
  #cards = new Map<string, Card>();

  constructor(log: HTMLElement, captions: Captions) {
    this.#log = log;
    this.#captions = captions;
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
      approve: (args, call) => this.#card(call.id, call.name).ask(`Make the page ${theme(args)}?`, call),
      handler: (args, call) => {
        document.documentElement.dataset.theme = theme(args);
        return this.#card(call.id, call.name).gave({ theme: theme(args) });
      },
    });
    session.addEventListener("message", ({ detail }) => {
      for (const call of detail.toolCall?.functionCalls ?? []) this.#card(call.id!, call.name!).called(call);
    });
    session.addEventListener("toolcall", ({ detail: { id, name, state } }) => {
      this.#captions.keep(() => this.#card(id, name).is(state));
    });
  }

  #card(id: string, name: string): Card {
    let card = this.#cards.get(id);
    if (!card) {
      card = new Card(name);
      this.#cards.set(id, card);
      this.#captions.keep(() => this.#log.append(card!.element));
    }
    return card;
  }
}

class Card {
  readonly element = document.createElement("div");
  #args = document.createElement("code");
  #state = document.createElement("p");
  #answer = document.createElement("code");
  #denied = false;

  constructor(name: string) {
    const title = document.createElement("b");
    title.textContent = name;
    this.#state.textContent = outcomes.called;
    this.element.className = "card";
    this.element.dataset.tool = name;
    this.element.append(title, this.#args, this.#state, this.#answer);
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
    const choice = document.createElement("div");
    choice.className = "choice";
    choice.setAttribute("role", "group");
    choice.ariaLabel = question;
    this.#state.textContent = question;
    this.#state.after(choice);
    return new Promise<boolean>((resolve) => {
      const settle = (allowed: boolean) => {
        this.#denied = !allowed && !signal.aborted;
        for (const button of choice.querySelectorAll("button")) button.disabled = true; // they stay, so that nothing moves
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
