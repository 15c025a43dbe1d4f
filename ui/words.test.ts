import { expect, test } from "vitest";
import { systemName } from "./words.ts";

test("[U2] a system is called what people call it, with the version the agent told", () => {
  expect(systemName("windows 10.0.20348")).toBe("Windows 10.0.20348");
  expect(systemName("darwin")).toBe("macOS");
  expect(systemName("linux 6.18.44")).toBe("Linux 6.18.44");
  expect(systemName("FreeBSD 14")).toBe("FreeBSD 14");
});
