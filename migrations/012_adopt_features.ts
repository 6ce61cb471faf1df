/**
 * 012_adopt_features: takes over what a database of the earlier package keeps of what is served since.
 *
 * Also of a database that an earlier release of ours adopted, which left those tables as they were. What is not served now, such
 * as the enrolment of devices, stays in its tables.
 */
import { Effect, FiberRef, HashMap } from 'effect'
import { adoptFeatures } from './legacy/features.js'

// The migrator's annotations are of no use to an operator.
export default adoptFeatures.pipe(Effect.locally(FiberRef.currentLogAnnotations, HashMap.empty()))
