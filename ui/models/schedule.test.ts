import { expect, test } from "vitest";
import type { Project } from "../../schema/api.ts";
import * as schema from "../../schema/job.ts";
import { createTestApi, pageWith, settle } from "../test-world.ts";
import { createProjectForm } from "./project-form.ts";
import { checkSchedule, newSchedule, scheduleOf, scheduleValuesOf, toggleDay } from "./schedule.ts";

const SCHEDULE: schema.BandwidthSchedule = {
  timeZone: "Europe/Berlin",
  windows: [
    { days: ["mon", "fri"], from: "18:00", to: "06:00" },
    { days: ["sat", "sun"], from: "00:00", to: "23:59" },
  ],
  insideMbps: null,
  outsideMbps: 2.5,
};

test("[U28] a schedule comes out of the form as it went in, and the contract takes it", () => {
  const values = scheduleValuesOf(SCHEDULE);
  expect(checkSchedule(values)).toEqual({});
  expect(scheduleOf(values)).toEqual(SCHEDULE);
  expect(schema.bandwidthSchedule.parse(scheduleOf(values))).toEqual(SCHEDULE);
});

test("[U28] days are sent in the order of the week, however they were chosen", () => {
  expect(toggleDay(toggleDay(["wed"], "sun"), "mon")).toEqual(["mon", "wed", "sun"]);
  expect(toggleDay(["mon", "wed"], "mon")).toEqual(["wed"]);
});

test("[U19] faults of a schedule are found at the fields the server would name", () => {
  const values = {
    ...scheduleValuesOf(SCHEDULE),
    timeZone: "CET",
    windows: [
      { days: [], from: "", to: "24:00" },
      { days: ["mon" as const], from: "08:00", to: "08:00" },
    ],
    insideMbps: "fast",
    outsideMbps: "0",
  };
  expect(Object.keys(checkSchedule(values)).sort()).toEqual([
    "bandwidthSchedule.insideMbps",
    "bandwidthSchedule.outsideMbps",
    "bandwidthSchedule.timeZone",
    "bandwidthSchedule.windows.0.days",
    "bandwidthSchedule.windows.0.from",
    "bandwidthSchedule.windows.0.to",
    "bandwidthSchedule.windows.1.to",
  ]);
});

test("[U28] a schedule that limits nothing is not accepted", () => {
  expect(Object.keys(checkSchedule(newSchedule("UTC")))).toEqual(["bandwidthSchedule.outsideMbps"]);
  expect(checkSchedule({ ...newSchedule("UTC"), outsideMbps: "10" })).toEqual({});
});

async function projectForm(project: Project | null, timeZone: string) {
  const { api, asked } = createTestApi(() => ({ body: pageWith([]) }));
  const world = { api, timeZone, uuid: () => "key-00000001" };
  const model = createProjectForm(world, { project, clientId: "cli_1", saved: () => {} });
  model.form.set("name", "Files");
  model.form.set("connectionId", "con_1");
  model.form.set("container", "files");
  await settle();
  return { model, asked };
}

test("[U28] a new schedule begins in the reader's time zone, where that is the name of a place", async () => {
  const { model } = await projectForm(null, "Europe/Berlin");
  model.addSchedule();
  expect(model.form.values.value.schedule?.timeZone).toBe("Europe/Berlin");
  const nameless = await projectForm(null, "+02:00");
  nameless.model.addSchedule();
  expect(nameless.model.form.values.value.schedule?.timeZone).toBe("UTC");
});

test("[U28] a project is saved with its schedule, or with none", async () => {
  const { model, asked } = await projectForm(null, "Europe/Berlin");
  model.addSchedule();
  await model.form.submit();
  expect(Object.keys(model.form.errors.value)).toEqual(["bandwidthSchedule.outsideMbps"]);
  model.setSchedule(scheduleValuesOf(SCHEDULE));
  await model.form.submit();
  expect(asked.at(-1)?.body).toMatchObject({ bandwidthSchedule: SCHEDULE });
  model.form.set("schedule", null);
  await model.form.submit();
  expect(asked.at(-1)?.body).toMatchObject({ bandwidthSchedule: null });
});

test("[U79] buttons alone change a project's form; what it chooses of itself when it opens does not", async () => {
  const { api } = createTestApi(({ path }) => ({
    body: pageWith(
      path.startsWith("/api/clients")
        ? [{ id: "cli_1", name: "Acme", status: "active" }]
        : [{ id: "con_1", name: "Acme", account: "acme", container: "files" }],
    ),
  }));
  const world = { api, timeZone: "Europe/Berlin", uuid: () => "key-00000001" };
  const opened = async () => {
    const model = createProjectForm(world, { project: null, clientId: null, saved: () => {} });
    model.open();
    await settle();
    return model;
  };
  const model = await opened();
  expect(model.form.values.value).toMatchObject({
    clientId: "cli_1",
    connectionId: "con_1",
    container: "files",
  });
  expect(model.form.changed.value).toBe(false);
  model.addSchedule();
  expect(model.form.changed.value).toBe(true);
  const other = await opened();
  other.chooseConnection("con_1");
  expect(other.form.changed.value).toBe(true);
});
