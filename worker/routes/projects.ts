import { Hono } from "hono";
import { projectCreate, projectListQuery, projectUpdate } from "../../schema/api.ts";
import { projectId } from "../../schema/ids.ts";
import { actorOf, readBody, readId, readIdempotencyKey, readQuery, type App } from "../context.ts";
import {
  cancelProject,
  createProject,
  deleteProject,
  listProjects,
  readProject,
  reopenProject,
  updateProject,
} from "../db/projects.ts";
import { pokeCancelled, pokeProject } from "../wishes.ts";

export const projects = new Hono<App>()
  .get("/", async (c) => c.json(await listProjects(c.get("db"), readQuery(c, projectListQuery))))
  .post("/", async (c) => {
    const body = await readBody(c, projectCreate);
    return c.json(await createProject(c.get("db"), actorOf(c), body, readIdempotencyKey(c)), 201);
  })
  .get("/:id", async (c) => c.json(await readProject(c.get("db"), readId(c, projectId))))
  .patch("/:id", async (c) => {
    const body = await readBody(c, projectUpdate);
    const project = await updateProject(c.get("db"), actorOf(c), readId(c, projectId), body);
    if (body.bandwidthSchedule !== undefined) await pokeProject(c, project.id);
    return c.json(project);
  })
  .post("/:id/cancel", async (c) => {
    const project = await cancelProject(c.get("db"), actorOf(c), readId(c, projectId));
    await pokeCancelled(c, project.id);
    return c.json(project);
  })
  .post("/:id/reopen", async (c) =>
    c.json(await reopenProject(c.get("db"), actorOf(c), readId(c, projectId))),
  )
  .delete("/:id", async (c) => {
    await deleteProject(c.get("db"), actorOf(c), readId(c, projectId));
    return c.body(null, 204);
  });
