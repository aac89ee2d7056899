import { afterAll, expect, test } from "bun:test"
import { rmSync } from "node:fs"
import { dirname } from "node:path"
import { Demo } from "../../examples/demo/demo.ts"
import { paintFor } from "../../examples/demo/paint.ts"
import { Picture } from "../../examples/demo/picture.ts"
import { faultKinds, faultPlan } from "../../examples/demo/fault-plan.ts"

const main = `${import.meta.dir}/../../examples/demo/main.ts`
const kept: string[] = []
afterAll(() => kept.forEach((outbox) => rmSync(dirname(outbox), { recursive: true, force: true })))

async function demo(...args: string[]) {
  const child = Bun.spawn([process.execPath, main, ...args], { stdout: "pipe", stderr: "pipe" })
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  return { exit: await child.exited, stdout, stderr }
}

async function run(...args: string[]) {
  const { exit, stdout, stderr } = await demo("--json", "--seed", "1", "--speed", "10", ...args)
  const result = JSON.parse(stdout)
  kept.push(result.outbox)
  return { exit, result, stderr }
}

test("under every fault nothing is lost, doubled or out of order, and the in-memory queue loses", async () => {
  const { exit, result, stderr } = await run()
  const faults = { kills: 8, network: 17 }
  expect({ exit, ...result }).toMatchObject({ exit: 0, lost: 0, doubled: 0, outOfOrder: 0, events: 5144, faults })
  expect(stderr.split("\n")).toContain("lost 0, doubled 0, out of order 0")
  expect(result.memory.lost).toBeGreaterThan(0)
  expect(result.sturdy.shown.right).toEqual({ session: 6, message: 170, part: 423 })
})

test("a client that acknowledges before it commits is found out", async () => {
  const { exit, result } = await run("--sabotage")
  expect(exit).toBe(1)
  expect(result.lost).toBeGreaterThan(0)
})

test("without faults the in-memory queue loses nothing: its losses are the faults', not the imitation's", async () => {
  const nowhere = { write: () => true }
  const demo = new Demo({ seed: 1, speed: 10, sabotage: false }, new Picture(nowhere, paintFor(nowhere)))
  demo.plan.length = 0
  try {
    expect(await demo.run()).toMatchObject({ lost: 0, doubled: 0, outOfOrder: 0, memory: { lost: 0 } })
  } finally {
    await demo.stop(false)
  }
})

test("a wrong flag is a usage error", async () => {
  for (const args of [["--nope"], ["--seed", "x"], ["--speed", "0"], ["more"]])
    expect(await demo(...args)).toMatchObject({
      exit: 2,
      stdout: "",
      stderr: expect.stringContaining("usage: npm run demo"),
    })
})

test("the same seed gives the same plan, with every kind of fault in it", () => {
  expect(faultPlan(7)).toEqual(faultPlan(7))
  expect(faultPlan(7)).not.toEqual(faultPlan(8))
  for (const seed of [0, 1, 999_999_999])
    expect(new Set(faultPlan(seed).map(({ kind }) => kind))).toEqual(new Set(Object.keys(faultKinds) as never[]))
})
