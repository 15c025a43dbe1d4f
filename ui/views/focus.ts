/**
 * After something was done to a row, its button may be gone and the focus with it: then the page's name takes it, so that
 * who works with the keyboard goes on from there and not from the top of the document.
 */
export function keepFocus(): void {
  requestAnimationFrame(() => {
    const at = document.activeElement;
    if (at !== null && at !== document.body) return;
    document.querySelector<HTMLElement>("main h1")?.focus({ preventScroll: true });
  });
}
