import { expect, test } from "vitest";
import { outboxFaults, outboxSettings } from "./settings.ts";

const PRODUCTION = { ENVIRONMENT: "production" };
const DEVELOPMENT = { ENVIRONMENT: "development" };
const EMAIL = { send: async () => ({ messageId: "1" }) } as never;

test("[O14] what is not set is off, and no fault; in development mails stay here", () => {
  for (const variables of [PRODUCTION, DEVELOPMENT]) {
    expect(outboxFaults(variables)).toEqual([]);
    expect(outboxSettings(variables)).toMatchObject({ bus: null, billing: null });
  }
  expect(outboxSettings(PRODUCTION).mail).toEqual({ kind: "off" });
  expect(outboxSettings(DEVELOPMENT).mail).toEqual({ kind: "development" });
});

test("[O14] what is set is used: a provider before the binding, addresses without a slash at their end", () => {
  const settings = outboxSettings({
    ...PRODUCTION,
    APP_URL: "https://app.example.com/",
    BUS_API_URL: "https://bus.example.com/",
    BUS_INTEGRATION_KEY: "k",
    HUB_BILLING_API_URL: "https://billing.example.com",
    EMAIL,
    MAIL_API_URL: "https://api.example.com/emails",
    MAIL_API_KEY: "m",
    MAIL_FROM: "a@example.com",
  });
  expect(settings).toMatchObject({
    appUrl: "https://app.example.com",
    bus: { url: "https://bus.example.com", key: "k" },
    billing: { url: "https://billing.example.com", key: null },
    mail: { kind: "api", remote: { url: "https://api.example.com/emails", key: "m" }, from: "a@example.com" },
  });
  expect(outboxSettings({ ...PRODUCTION, EMAIL, MAIL_FROM: "a@example.com" }).mail.kind).toBe("binding");
});

test("[O14] what is half set, or wrong, is a sentence for the operator, and used for nothing", () => {
  const WRONG: readonly [Record<string, unknown>, RegExp][] = [
    [
      { BUS_API_URL: "https://bus.example.com" },
      /^BUS_API_URL and BUS_INTEGRATION_KEY must be set together$/,
    ],
    [{ BUS_INTEGRATION_KEY: "k" }, /^BUS_API_URL and BUS_INTEGRATION_KEY must be set together$/],
    [
      { MAIL_API_URL: "https://api.example.com", MAIL_FROM: "a@example.com" },
      /^MAIL_API_URL and MAIL_API_KEY/,
    ],
    [
      { MAIL_FROM: "a@example.com" },
      /^MAIL_FROM must be set together with MAIL_API_URL or the binding EMAIL$/,
    ],
    [{ EMAIL }, /^MAIL_FROM must be set together/],
    [{ APP_URL: "app.example.com" }, /^APP_URL must be an https address/],
    [{ HUB_BILLING_API_URL: "http://billing.example.com" }, /^HUB_BILLING_API_URL must be an https address/],
    [{ HUB_BILLING_API_URL: "http://127.0.0.1:9" }, /^HUB_BILLING_API_URL must be an https address/],
    [
      { BUS_API_URL: "https://me:secret@bus.example.com", BUS_INTEGRATION_KEY: "k" },
      /^BUS_API_URL must be an https address without a name and password$/,
    ],
  ];
  for (const [variables, sentence] of WRONG) {
    const all = { ...PRODUCTION, ...variables };
    expect(outboxFaults(all).join("\n")).toMatch(sentence);
    expect(outboxFaults(all).join("\n")).not.toContain("secret");
    expect(outboxSettings(all)).toMatchObject({ bus: null, billing: null, mail: { kind: "off" } });
  }
});

test("[O14] this machine may be told in development alone", () => {
  const variables = { BUS_API_URL: "http://127.0.0.1:9", BUS_INTEGRATION_KEY: "k" };
  expect(outboxFaults({ ...DEVELOPMENT, ...variables })).toEqual([]);
  expect(outboxFaults({ ...PRODUCTION, ...variables })).not.toEqual([]);
});
