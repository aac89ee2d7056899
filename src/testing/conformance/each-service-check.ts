/** The conformance suite of the wire contract, for any service at a URL or behind a fetch function. */
import { capabilityCases } from "./capability-cases.ts"
import { type Check, checkOf } from "./check.ts"
import { formCases } from "./form-cases.ts"
import { outcomeCases } from "./outcome-cases.ts"
import { postCases } from "./post-cases.ts"
import { resultCases } from "./result-cases.ts"
import { ruleCases } from "./rule-cases.ts"
import type { Need, ServiceCase } from "./service-case.ts"
import {
  boundTo,
  checkPlace,
  checkSubject,
  optionalMethods,
  withoutRoute,
  type ServicePlace,
  type ServiceSubject,
} from "./service-subject.ts"
import { shareCases } from "./share-cases.ts"
import { Trial } from "./trial.ts"

const cases: readonly ServiceCase[] = [
  ...ruleCases,
  ...outcomeCases,
  ...resultCases,
  ...shareCases,
  ...capabilityCases,
  ...formCases,
  ...postCases,
]

/**
 * Every check of the wire contract, for any test runner: `for (const { name, run, skip } of eachServiceCheck(subject))
 * (skip ? test.skip : test)(name, run)`. What a hook or a method that is not there would unlock is listed as skipped.
 *
 * @throws TypeError if the subject is none
 */
export function eachServiceCheck<Place extends ServicePlace>(subject: ServiceSubject<Place>): Check[] {
  checkSubject(subject)
  return cases.map(({ name, needs = [], run }) => checkOf(name, skipOf(subject, needs), () => runAt(subject, run)))
}

async function runAt<Place extends ServicePlace>(
  subject: ServiceSubject<Place>,
  run: ServiceCase["run"],
): Promise<void> {
  const place = await subject.make()
  checkPlace(place)
  try {
    await run(new Trial(boundTo(subject, place)))
  } finally {
    await place.close?.()
  }
}

function skipOf<Place extends ServicePlace>(
  subject: ServiceSubject<Place>,
  needs: readonly Need[],
): string | undefined {
  return needs.map((need) => lacking(subject, need)).find((reason) => reason !== undefined)
}

function lacking<Place extends ServicePlace>(
  { methods, protocol = "rpc", without = [], effects, restart, backUp }: ServiceSubject<Place>,
  need: Need,
): string | undefined {
  const routeless = protocol === "http" ? withoutRoute : []
  switch (need) {
    case "rpc":
      return protocol === "rpc" ? undefined : "plain HTTP/JSON has one request per call"
    case "echo":
    case "failing":
      return methods[need] === undefined ? `methods.${need} is not given` : undefined
    case "restart":
      return restart ? undefined : "the hook restart is not given"
    case "backUp":
      return backUp ? undefined : "the hook backUp is not given"
    case "effects":
      return effects ? undefined : "the hook effects is not given"
    case "effects or readShare":
      return effects || ![...without, ...routeless].includes("readShare")
        ? undefined
        : "needs readShare or the hook effects"
    default:
      if (routeless.some((method) => method === need)) return `plain HTTP/JSON has no ${need}`
      return optionalMethods.includes(need) && without.includes(need) ? `the service is without ${need}` : undefined
  }
}
