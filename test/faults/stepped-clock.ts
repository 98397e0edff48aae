/**
 * Loaded into a daemon before its own code (`node --import`): each SIGUSR2 steps the clock by the next of the milliseconds in
 * the environment variable CLOCK_STEPS.
 */
import process from "node:process";

const steps = (process.env["CLOCK_STEPS"] ?? "").split(",").map(Number);
const systemTime = Date.now.bind(Date);
let offset = 0;

Date.now = () => systemTime() + offset;
process.on("SIGUSR2", () => {
  offset += steps.shift() ?? 0;
});
