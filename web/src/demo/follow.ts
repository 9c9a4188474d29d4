/** Keeps the end of a list in view, whatever makes it longer, unless the visitor has scrolled back. */
export function follow(list: HTMLElement): void {
  let atEnd = true;
  let top = 0;
  const show = () => {
    if (atEnd) list.scrollTop = list.scrollHeight;
  };
  list.addEventListener("scroll", () => {
    // That it grew meanwhile does not mean that somebody scrolled.
    const near = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    if (near || list.scrollTop < top) atEnd = near;
    top = list.scrollTop;
  });
  new MutationObserver(show).observe(list, { childList: true, characterData: true, subtree: true });
  new ResizeObserver(show).observe(list);
}
