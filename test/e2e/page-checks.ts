/** What is asked of every page, run inside it: each function is handed over to the browser whole, so it stands alone. */

/** Faults of the page as it stands, a line each. */
export function examinePage(size: "phone" | "tablet" | "desk"): string[] {
  /** Of what a finger or a pointer has to hit; inline links stand in sentences and are exempt (WCAG 2.5.8). */
  const heightMin = size === "phone" ? 44 : 24;
  const acting =
    /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\ufff9-\ufffb]/u;
  const faults: string[] = [];
  const all = [...document.querySelectorAll<HTMLElement>("body *")];
  const isShown = (one: HTMLElement) =>
    one.checkVisibility({ visibilityProperty: true }) && getComputedStyle(one).clipPath === "none";
  const describe = (one: HTMLElement | undefined) =>
    one === undefined
      ? ""
      : `<${one.tagName.toLowerCase()}${one.className === "" ? "" : ` class="${String(one.className)}"`}> "${(one.textContent ?? "").slice(0, 40)}"`;

  const { scrollWidth } = document.documentElement;
  if (scrollWidth > innerWidth) faults.push(`is ${scrollWidth - innerWidth} px wider than the screen`);

  for (const one of all) {
    const style = getComputedStyle(one);
    const isClipped = style.overflowX === "hidden" || style.overflowX === "clip";
    if (
      isClipped &&
      isShown(one) &&
      style.textOverflow !== "ellipsis" &&
      one.scrollWidth > one.clientWidth + 1
    )
      if (one.clientWidth > 1 && !one.matches(".bar, .bar *"))
        faults.push(`${one.scrollWidth - one.clientWidth} px are cut off of ${describe(one)}`);
  }

  const headings = [...document.querySelectorAll<HTMLElement>("h1, h2, h3, h4, h5, h6")].filter(isShown);
  const levels = headings.map((heading) => Number(heading.tagName.slice(1)));
  if (levels.filter((level) => level === 1).length !== 1) faults.push(`has the headings ${levels.join(" ")}`);
  levels.forEach((level, index) => {
    const before = levels[index - 1] ?? 0;
    if (level > before + 1) faults.push(`h${level} after h${before}: ${describe(headings[index])}`);
  });

  const targets = document.querySelectorAll<HTMLElement>("a, button, input, select, textarea, summary");
  for (const one of targets) {
    if (!isShown(one) || one.getBoundingClientRect().width === 0) continue;
    if (
      one.matches(":disabled, .row-link") ||
      (one.tagName === "A" && getComputedStyle(one).display === "inline")
    )
      continue;
    // A label belongs to the target of what it names.
    const label = one.closest("label");
    const { width, height } = (label ?? one).getBoundingClientRect();
    // A week has seven days, and a phone no room for seven fingers beside one another.
    if (height < heightMin - 0.5 || width < 23.5)
      faults.push(`a target of ${Math.round(width)} x ${Math.round(height)} px: ${describe(one)}`);
  }

  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const around = node.parentElement ?? undefined;
    if (around?.closest("script, style") === null && acting.test(node.textContent ?? ""))
      faults.push(
        `a character acts in ${describe(around)} ${JSON.stringify(node.textContent).slice(0, 120)}`,
      );
  }
  for (const one of [...all, document.documentElement]) {
    for (const name of ["title", "aria-label", "alt", "placeholder", "data-title"]) {
      if (acting.test(one.getAttribute(name) ?? ""))
        faults.push(`a character acts in ${name} of ${describe(one)}`);
    }
  }
  if (acting.test(document.title)) faults.push("a character acts in the page's title");
  return faults;
}

/** Notes in `focusFaults` whatever takes the focus from now on without showing it; gives back how many there are to go through. */
export function watchFocus(): number {
  const faults: string[] = [];
  Object.assign(globalThis, { focusFaults: faults });
  const selector = "a[href], button, input, select, textarea, summary, [tabindex='0']";
  const looks = (one: Element) => {
    const { outlineStyle, outlineWidth, boxShadow, borderColor } = getComputedStyle(one);
    return {
      outlined: outlineStyle !== "none" && outlineWidth !== "0px",
      rest: `${boxShadow} ${borderColor}`,
    };
  };
  const before = new Map([...document.querySelectorAll(selector)].map((one) => [one, looks(one).rest]));
  document.addEventListener("focusin", ({ target }) => {
    if (!(target instanceof HTMLElement)) return;
    const name = `<${target.tagName.toLowerCase()} class="${target.className}"> "${(target.textContent || target.getAttribute("aria-label") || "").slice(0, 40)}"`;
    const now = looks(target);
    const around = target.closest("label, .day");
    const isShown =
      now.outlined || now.rest !== before.get(target) || (around !== null && looks(around).outlined);
    if (!isShown) faults.push(`the focus cannot be seen at ${name}`);
    requestAnimationFrame(() => {
      const { left, top, width, height } = target.getBoundingClientRect();
      if (width === 0 || document.activeElement !== target) return;
      const spots = [0.1, 0.5, 0.9].map((share) =>
        document.elementFromPoint(left + width / 2, top + Math.min(height * share, height - 1)),
      );
      const isSeen = spots.some((spot) => spot !== null && (target.contains(spot) || spot.contains(target)));
      if (!isSeen && getComputedStyle(target).position !== "absolute")
        faults.push(`the focus is hidden at ${name}`);
    });
  });
  (document.activeElement as HTMLElement | null)?.blur();
  return [...document.querySelectorAll<HTMLElement>(selector)].filter(
    (one) => one.checkVisibility({ visibilityProperty: true }) && !one.matches(":disabled"),
  ).length;
}
