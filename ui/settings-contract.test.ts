import { expect, test } from "vitest";
import * as apiKeys from "../schema/api-keys.ts";
import * as azure from "../schema/azure.ts";
import * as webhooks from "../schema/webhooks.ts";
import * as contract from "./settings-contract.ts";

test("[U1] every value the settings copy from the contract equals its original", () => {
  expect(contract.EVENT_TYPES).toEqual(webhooks.EVENT_TYPES);
  expect(contract.CONSENT_FAULTS).toEqual(azure.CONSENT_FAULTS);
  expect([...contract.API_KEY_ROLES].sort()).toEqual([...apiKeys.apiKeyRole.options].sort());
});

test("[U1] the settings' own checks agree with the contract", () => {
  const { min, max } = contract.API_KEY_DAYS;
  for (const validDays of [min - 1, min, max, max + 1]) {
    const isTaken = apiKeys.apiKeyCreate.safeParse({ name: "n", role: "viewer", validDays }).success;
    expect(validDays >= min && validDays <= max, String(validDays)).toBe(isTaken);
  }
  for (const account of ["abc", "ab", "a".repeat(24), "a".repeat(25), "Abc", "a-b", "", "a1b2"]) {
    const isTaken = azure.consentFinish.safeParse({ name: "n", account }).success;
    expect(contract.ACCOUNT_NAME.test(account), account).toBe(isTaken);
  }
});
