import { Database } from "bun:sqlite"
import { expect, test } from "bun:test"
import { globOf, matches } from "../../src/inspect/name-pattern.ts"

const names = ["note", "notes", "notes/2", "no[t]es", "note?", "no*es", "a\nb", "ö/é", "", "^n.te$"]
const patterns = [...names, "*", "note*", "*s", "n*e*s", "no[t]*", "*?", "a*b", "ö*", "*.*", "x*"]

test("a pattern chooses the same names in SQL and here, and only * stands for more than itself", () => {
  using db = new Database(":memory:")
  const inSql = db.prepare<{ fits: number }, [string, string]>("select ? glob ? as fits")
  for (const pattern of patterns)
    for (const name of names)
      expect([pattern, name, matches(pattern, name)]).toEqual([
        pattern,
        name,
        inSql.get(name, globOf(pattern))!.fits === 1,
      ])
  inSql.finalize()
  expect(names.filter((name) => matches("no[t]*", name))).toEqual(["no[t]es"])
  expect(names.filter((name) => matches("note?", name))).toEqual(["note?"])
})
