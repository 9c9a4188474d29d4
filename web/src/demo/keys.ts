// One key for each thing that one does in a conversation. What a key means where it
// is pressed comes first: in a text box it types, on a button it clicks.

export interface Actions {
  talk: { isOn(): boolean; holds(): boolean; toggle(): void; press(): void; release(): void; stop(): void };
  mute(): void;
  type(): void;
  help(): void;
}

export function listenToKeys({ talk, mute, type, help }: Actions): void {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return;
    const target = event.target as Element;
    if (event.key === "Escape") {
      // What it closes, or leaves, is one thing; held longer it does not do the next.
      if (event.repeat || document.querySelector(":popover-open")) return;
      if (target.matches("input, select")) (target as HTMLElement).blur();
      else if (talk.isOn()) talk.stop();
      return;
    }
    if (target.matches("input:not([type=range]), select")) return;
    if (event.key === " ") {
      if (!takesSpace(target)) return;
      if (talk.holds()) {
        event.preventDefault();
        if (!event.repeat) talk.press();
      } else if (target.id !== "connect" && !talk.isOn()) {
        event.preventDefault();
        talk.toggle();
      }
      return;
    }
    const act = { m: mute, "/": type, "?": help }[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act();
  });
  addEventListener("keyup", (event) => {
    if (event.key !== " " || !talk.holds() || !takesSpace(event.target as Element)) return;
    event.preventDefault(); // or it clicks
    talk.release();
  });
}

function takesSpace(target: Element): boolean {
  return target.id === "connect" || !target.closest("button, a, input, select, [tabindex]");
}
