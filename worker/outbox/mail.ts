/**
 * Mails, by whichever way the deployment has: Cloudflare Email Service, a provider that takes what Resend takes (`POST
 * /emails`: from, to, subject, html, text; bearer key; `Idempotency-Key`), or, in development, nothing but the outbox.
 *
 * A provider that knows keys sends a mail once, however often it is asked. Cloudflare's binding knows none, so a Worker that
 * dies between sending and noting sends that one mail twice; its own id is in `X-Entity-Ref-ID` of both.
 */
import { judge, post, type Delivery, type PostWorld } from "./post.ts";
import type { MailSettings } from "./settings.ts";

export interface Mail {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

export async function sendMail(
  world: PostWorld,
  settings: MailSettings,
  { id, mail }: { readonly id: string; readonly mail: Mail },
): Promise<Delivery> {
  switch (settings.kind) {
    case "off":
      return { kind: "never", reason: "Mail is not set up on this server" };
    case "development":
      return { kind: "accepted" };
    case "api": {
      const { remote, from } = settings;
      const { to, subject, html, text } = mail;
      const answer = await post(world, {
        url: remote.url,
        headers: { authorization: `Bearer ${remote.key}`, "idempotency-key": id },
        body: JSON.stringify({ from, to: [to], subject, html, text }),
      });
      return judge(answer);
    }
    case "binding":
      return await sendByBinding(settings, { id, mail });
  }
}

/**
 * What the codes of Cloudflare Email Service mean to us ("Workers API", Error codes): of the service or our settings, or of
 * this one mail. All others will not change.
 */
const CODES: Readonly<Record<string, "away" | "later">> = {
  E_SENDER_NOT_VERIFIED: "away",
  E_SENDER_DOMAIN_NOT_AVAILABLE: "away",
  E_RATE_LIMIT_EXCEEDED: "away",
  E_DAILY_LIMIT_EXCEEDED: "away",
  E_INTERNAL_SERVER_ERROR: "away",
  E_DELIVERY_FAILED: "later",
};

async function sendByBinding(
  { binding, from }: Extract<MailSettings, { kind: "binding" }>,
  { id, mail }: { readonly id: string; readonly mail: Mail },
): Promise<Delivery> {
  try {
    await binding.send({ ...mail, from, headers: { "X-Entity-Ref-ID": id } });
    return { kind: "accepted" };
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (typeof code !== "string" || !/^E_[A-Z_]+$/.test(code)) {
      return { kind: "away", reason: "The mail service could not be reached" };
    }
    return { kind: CODES[code] ?? "never", reason: `The mail service answered ${code}` };
  }
}
