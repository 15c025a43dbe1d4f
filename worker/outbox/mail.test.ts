import { expect, test } from "vitest";
import { sendMail } from "./mail.ts";
import type { PostWorld } from "./post.ts";

const MAIL = { to: "olivia@example.com", subject: "Hello", text: "Hello", html: "<p>Hello</p>" };
const WORLD: PostWorld = {
  fetch: async () => {
    throw new Error("Nobody is to be called");
  },
  now: () => 0,
  pause: async () => undefined,
  answerLimitMs: 10,
};

async function byBinding(send: (mail: unknown) => Promise<unknown>) {
  const binding = { send } as unknown as Pick<SendEmail, "send">;
  return await sendMail(
    WORLD,
    { kind: "binding", binding, from: "noreply@example.com" },
    { id: "out_1", mail: MAIL },
  );
}

test("[O16] Cloudflare's service gets the mail with our id, by which two of one can be told", async () => {
  const mails: unknown[] = [];
  expect(await byBinding(async (mail) => mails.push(mail))).toEqual({ kind: "accepted" });
  expect(mails).toEqual([{ ...MAIL, from: "noreply@example.com", headers: { "X-Entity-Ref-ID": "out_1" } }]);
});

test("[O16] its codes say whether it is the service, this mail, or for ever; nothing else of its errors is told", async () => {
  const fails = async (code: unknown) =>
    await byBinding(async () => {
      throw Object.assign(new Error("a secret of the service's"), { code });
    });
  expect((await fails("E_RATE_LIMIT_EXCEEDED")).kind).toBe("away");
  expect((await fails("E_DELIVERY_FAILED")).kind).toBe("later");
  expect((await fails("E_RECIPIENT_NOT_ALLOWED")).kind).toBe("never");
  expect((await fails(undefined)).kind).toBe("away");
  for (const code of ["E_DELIVERY_FAILED", undefined, "a secret", 7])
    expect(JSON.stringify(await fails(code))).not.toContain("a secret");
});

test("[O16] without a way to send it, a mail is given up with a reason; in development it stays in the outbox", async () => {
  expect((await sendMail(WORLD, { kind: "off" }, { id: "1", mail: MAIL })).kind).toBe("never");
  expect((await sendMail(WORLD, { kind: "development" }, { id: "1", mail: MAIL })).kind).toBe("accepted");
});
