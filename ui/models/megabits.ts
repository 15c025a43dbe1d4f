/** A limit of the line as a person types it: Mbps with a point or a comma, empty = none. */
import { MEGABITS } from "../contract.ts";
import { megabits as texts } from "../texts/pages.ts";

export function megabitsOf(text: string): number | "wrong" | null {
  if (text.trim() === "") return null;
  const megabits = Number(text.replace(",", "."));
  return megabits >= MEGABITS.min && megabits <= MEGABITS.max ? megabits : "wrong";
}

export function checkMegabits(text: string): string | null {
  return megabitsOf(text) === "wrong" ? texts.fromMbpsNothing(MEGABITS.min, MEGABITS.max) : null;
}
