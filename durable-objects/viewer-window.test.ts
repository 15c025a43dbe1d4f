import { expect, test } from "vitest";
import { LIVE_CLOSE, LIVE_JOBS_MAX, type LiveFrame, type LiveMessage } from "../schema/live.ts";
import { framesRead, LIVE_READ_EVERY, LIVE_UNREAD_MAX, ReadCounter } from "../schema/live-window.ts";
import { ViewerWindow } from "./viewer-window.ts";

class Viewer {
  readonly frames: LiveFrame[] = [];
  closed: number | null = null;
  readonly window = new ViewerWindow({
    send: (text) => void this.frames.push(JSON.parse(text) as LiveFrame),
    close: (code) => {
      this.closed = code;
    },
  });
}

const seen = (agent: number, online = true): LiveMessage => ({
  type: "agent",
  agentId: `agt_${agent}`,
  online,
});

/** So many characters in one frame. */
const long = (characters: number): LiveFrame => [
  { type: "agent", agentId: "x".repeat(characters), online: true },
];

test("[L21] a viewer that says nothing is sent so many frames and no more", () => {
  const viewer = new Viewer();
  for (let sent = 0; sent < 10 * LIVE_UNREAD_MAX.frames; sent++) viewer.window.tell([seen(sent % 5)]);
  expect(viewer.frames).toHaveLength(LIVE_UNREAD_MAX.frames);
  expect(viewer.closed).toBeNull();
});

test("[L21] long frames count by their characters, and one goes out however long it is", () => {
  const viewer = new Viewer();
  viewer.window.tell(long(2 * LIVE_UNREAD_MAX.characters));
  viewer.window.tell([seen(1)]);
  expect(viewer.frames).toHaveLength(1);
  viewer.window.hear("r1");
  expect(viewer.frames.slice(1)).toEqual([[seen(1)]]);
});

test("[L21] one that reads on gets the newest of everything in one frame, and then each as it comes", () => {
  const viewer = new Viewer();
  for (let sent = 0; sent < LIVE_UNREAD_MAX.frames; sent++) viewer.window.tell([seen(9)]);
  viewer.window.tell([seen(1), seen(2)]);
  viewer.window.tell([seen(3)]);
  viewer.window.tell([seen(1, false)]);
  expect(viewer.frames).toHaveLength(LIVE_UNREAD_MAX.frames);
  viewer.window.hear("r8");
  expect(viewer.frames.slice(LIVE_UNREAD_MAX.frames)).toEqual([[seen(2), seen(3), seen(1, false)]]);
  viewer.window.tell([seen(4)]);
  expect(viewer.frames.at(-1)).toEqual([seen(4)]);
});

test("[L21] more than there can be of jobs and agents is kept for nobody: the viewer begins anew", () => {
  const viewer = new Viewer();
  for (let sent = 0; sent < LIVE_UNREAD_MAX.frames + 2 * LIVE_JOBS_MAX; sent++)
    viewer.window.tell([seen(sent)]);
  expect(viewer.closed).toBeNull();
  viewer.window.tell([seen(100_000)]);
  expect(viewer.closed).toBe(LIVE_CLOSE.checkSession);
});

test("[L21] whatever else a viewer says means nothing", () => {
  for (const word of ["", "p", "r", "r0", "r-1", "r01", "r1 ", "R1", "r1.5", "r10000", "r1e3", '{"r":1}'])
    expect(framesRead(word), word).toBeNull();
  expect(framesRead("r1")).toBe(1);
  expect(framesRead("r9999")).toBe(9_999);
});

test("[L21] what a viewer says keeps its window open, whatever the frames are like", () => {
  for (const characters of [1, 1_000, LIVE_READ_EVERY.characters, 3 * LIVE_UNREAD_MAX.characters]) {
    const counter = new ReadCounter();
    let got = 0;
    const window = new ViewerWindow({
      send: (text) => {
        got++;
        // Read at once, and said when it is time.
        const word = counter.count(text);
        if (word !== null) queued.push(word);
      },
      close: () => expect.unreachable(),
    });
    const queued: string[] = [];
    for (let sent = 0; sent < 200; sent++) {
      window.tell(long(characters));
      for (const word of queued.splice(0)) window.hear(word);
    }
    expect(got, `${characters}`).toBe(200);
  }
});
