/** The Bus: `POST /api/events`, at once up to four times where the Bus or the line is at fault, and later from the outbox. */
import type { EventType } from "../../schema/webhooks.ts";
import { judge, post, type Answer, type Delivery, type PostWorld } from "./post.ts";
import type { Remote } from "./settings.ts";

/** An event as the Bus takes it; webhooks get the same facts. */
export interface BusEvent {
  readonly source: "migrate";
  readonly type: EventType;
  /** The organization, as the Hub knows it. */
  readonly tenant_id: string;
  readonly severity: "info" | "success" | "warning" | "error";
  readonly title: string;
  readonly detail: string;
  readonly entity_id: string;
  readonly entity_url: string;
  readonly actor_id: string | null;
  readonly client_id: string | null;
  readonly client_name: string | null;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** Before the second, third and fourth try. */
const RETRIES_MS = [500, 1_000, 2_000] as const;

export async function tellBus(
  world: PostWorld,
  bus: Remote,
  { key, event }: { readonly key: string; readonly event: BusEvent },
): Promise<Delivery> {
  const request = {
    url: `${bus.url}/api/events`,
    headers: { "x-integration-key": bus.key, "idempotency-key": key },
    body: JSON.stringify(event),
  };
  let answer = await post(world, request);
  for (const delayMs of RETRIES_MS) {
    if (!isTheirFault(answer)) break;
    await world.pause(delayMs);
    answer = await post(world, request);
  }
  return judge(answer);
}

function isTheirFault(answer: Answer): boolean {
  return answer.kind === "silence" || answer.status >= 500;
}
