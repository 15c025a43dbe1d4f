/** A limit of the line as a person types it: Mbps with a point or a comma, empty = none. */
import { MEGABITS } from "../contract.ts";

export function megabitsOf(text: string): number | "wrong" | null {
  if (text.trim() === "") return null;
  const megabits = Number(text.replace(",", "."));
  return megabits >= MEGABITS.min && megabits <= MEGABITS.max ? megabits : "wrong";
}

export function checkMegabits(text: string): string | null {
  return megabitsOf(text) === "wrong" ? `From ${MEGABITS.min} to ${MEGABITS.max} Mbps, or nothing` : null;
}
