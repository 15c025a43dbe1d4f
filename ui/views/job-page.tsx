/** The page of one job: fetched when one is opened, because the first view and the lists do without it. */
import { later } from "../components/later.tsx";

export const JobPage = later(async () => (await import("./job-whole-page.tsx")).JobPage);
