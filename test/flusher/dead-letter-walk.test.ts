/** Dead letters in random histories: graphs of ops that are rejected, mended, retried and given up in any order. */
import { expect, test } from "bun:test"
import { SturdyError } from "../../src/intent/error.ts"
import type { Intent } from "../../src/handle.ts"
import { checkInvariants } from "../../src/inspect/invariant/check.ts"
import { readingOutbox } from "../../src/store/reading.ts"
import { mulberry32 } from "../../src/testing/mulberry32.ts"
import { openPatient } from "./patient.ts"

test("after random histories of rejections, mending, retries and discards every wanted op is applied once, in order", async () => {
  const from = Number(process.env.SEED ?? 1)
  const walks = process.env.SEED ? 1 : Number(process.env.WALKS ?? 12)
  for (let seed = from; seed < from + walks; seed++) await walk(seed)
})

/** A random graph of ops, some of them rejected; what is mended by and by is retried until nothing is dead. */
async function walk(seed: number): Promise<void> {
  const next = mulberry32(seed * 0x9e3779b9)
  const below = (count: number) => Math.floor(next() * count)
  const names = Array.from({ length: 40 }, (_, index) => `${index}`)
  await using t = await openPatient(...names.filter(() => next() < 0.2))
  const intents: Intent[] = []
  const depends = new Map<string, string[]>()
  const nameOf = new Map<string, string>()
  const given = new Set<string>()

  const discard = (op_id: string) => {
    for (const gone of t.stream.discard(op_id)) given.add(nameOf.get(gone)!)
  }
  const retry = (op_id: string) => {
    try {
      for (const pair of t.stream.retry(op_id)) nameOf.set(pair.as_op_id, nameOf.get(pair.op_id)!)
    } catch (error) {
      if (!(error instanceof SturdyError) || error.code !== "dead_letter_dependent") throw error
      // Its dependency comes first, or never.
      if (error.message.includes("was given up")) discard(op_id)
    }
  }
  const decideOne = () => {
    const letters = t.stream.deadLetters()
    const letter = letters[below(letters.length)]
    if (letter) (next() < 0.05 ? discard : retry)(letter.op_id)
  }

  for (const name of names) {
    const on = Array.from({ length: below(3) }, () => below(intents.length)).filter((index) => index < intents.length)
    depends.set(name, on.map(String))
    const intent = t.put(name, { dependsOn: on.map((index) => intents[index]!) })
    intents.push(intent)
    nameOf.set(t.id(intent), name)
    if (next() < 0.2) await t.drained()
    if (next() < 0.2) decideOne()
    if (next() < 0.1) t.poison.delete(names[below(names.length)]!)
  }
  t.mend()
  await t.drained()
  for (let rounds = 0; t.stream.status().dead > 0; rounds++) {
    if (rounds > 500) throw new Error(`seed ${seed}: ${t.stream.status().dead} stay dead`)
    decideOne()
    if (next() < 0.5 || t.stream.status().dead === 0) await t.drained()
  }

  const findings = readingOutbox(t.box.dir.file(), (db) => [...checkInvariants(db)])
  expect(findings.filter(({ kind }) => kind === "finding")).toEqual([])
  const { effects } = t.box
  const place = new Map(effects.map((name, index) => [name, index]))
  const early = effects.filter((name) => depends.get(name)!.some((on) => !(place.get(on)! < place.get(name)!)))
  expect({ seed, effects: effects.toSorted(), early, dead: t.stream.status().dead }).toEqual({
    seed,
    effects: names.filter((name) => !given.has(name)).toSorted(),
    early: [],
    dead: 0,
  })
}
