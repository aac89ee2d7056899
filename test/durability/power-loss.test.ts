/** The short run of the power-loss model; the long one: test/durability/power-loss/run.ts. */
import { expect, test } from "bun:test"
import { tempDir } from "../temp-dir.ts"
import { buildModel, canBuild, runCuts } from "./power-loss/cut.ts"

if (!canBuild) console.log("skipped: the power-loss model needs Linux and gcc")

const seeds = (count: number) => Array.from({ length: count }, (_, i) => i + 1)

test.if(canBuild)(
  "no op whose durable() resolved is lost in 40 power cuts",
  async () => {
    await using dir = tempDir()
    const figures = await runCuts(await buildModel(dir.path), "durable", seeds(40))
    expect(figures).toMatchObject({ lost: 0, gaps: 0, damaged: 0, notes: [] })
    expect(figures.cuts).toBeGreaterThan(20)
    expect(figures.acknowledged).toBeGreaterThan(100)
  },
  60_000,
)

test.if(canBuild)(
  "the model sees the loss when record is taken for durable",
  async () => {
    await using dir = tempDir()
    expect((await runCuts(await buildModel(dir.path), "record", seeds(100), { untilLoss: true })).lost).toBeGreaterThan(
      0,
    )
  },
  60_000,
)

test.if(canBuild)(
  "the model sees the loss when another file is synced",
  async () => {
    await using dir = tempDir()
    expect((await runCuts(await buildModel(dir.path), "other", seeds(200), { untilLoss: true })).lost).toBeGreaterThan(
      0,
    )
  },
  60_000,
)

// Found by the long run: a truncation, and a power cut while the file was made, with its rollback journal still there.
test.if(canBuild)(
  "seeds that once ended in a damaged or unopenable outbox end well",
  async () => {
    await using dir = tempDir()
    const figures = await runCuts(await buildModel(dir.path), "durable", [101_581, 101_635, 101_674, 101_755])
    expect(figures).toMatchObject({ lost: 0, damaged: 0, notes: [] })
  },
  60_000,
)
