/**
 * The operator's command: parses the arguments, runs one command, tells its exit code.
 */
import { Command, HelpDoc, Span, ValidationError } from '@effect/cli'
import * as NodeContext from '@effect/platform-node/NodeContext'
import { Cause, Config, Console, Effect, Exit, Option } from 'effect'
import { backup, restore } from './backup.js'
import { check } from './check.js'
import { copy } from './copy.js'
import { dump } from './dump.js'
import { exitCodeOf, exitCodes, lineOf, usage } from './failure.js'
import { migrate } from './migrate.js'
import { loggerLayer, withPlainOutput } from './output.js'
import { admins, users } from './people.js'
import { status } from './status.js'
import { exportCommand, importCommand } from './transfer.js'
import { gc, vacuum } from './upkeep.js'
import { version } from './version.js'
import { invites, members, workspaces } from './workspaces.js'

const name = 'or3-sqlite'

const root = Command.make(name, {}, () => usage(`name a command; \`${name} --help\` lists them`)).pipe(
  Command.withDescription('Looks after the database of or3-provider-sqlite.'),
  Command.withSubcommands([
    status,
    check,
    migrate,
    gc,
    users,
    workspaces,
    members,
    invites,
    admins,
    vacuum,
    backup,
    restore,
    copy,
    dump,
    exportCommand,
    importCommand,
  ]),
)

const footer = HelpDoc.blocks([
  HelpDoc.h1('THE DATABASE'),
  HelpDoc.p(
    'OR3_SQLITE_DB_PATH, or OR3_SQLITE_DRIVER=turso and OR3_SQLITE_TURSO_URL, and the other OR3_SQLITE_* variables, as the server reads them.',
  ),
  HelpDoc.h1('EXIT CODES'),
  HelpDoc.p('0    done'),
  HelpDoc.p('1    the check found something, or the operation failed'),
  HelpDoc.p('2    wrong arguments or settings, or no such file; nothing was done'),
  HelpDoc.p('130  interrupted'),
])

const cli = Command.run(root, {
  name,
  version,
  executable: name,
  summary: Span.text('status, backup and care of the database'),
  footer,
})

const wantsStack = Config.option(Config.string('DEBUG')).pipe(
  Config.map(Option.exists((value) => value !== '' && value !== '0')),
  Effect.orElseSucceed(() => false),
)

const report = (cause: Cause.Cause<unknown>) =>
  Effect.gen(function* () {
    const error = Cause.squash(cause)
    // The library has printed those of the arguments.
    if (!ValidationError.isValidationError(error)) yield* Console.error(`${name}: ${lineOf(error)}`)
    if (yield* wantsStack) yield* Console.error(Cause.pretty(cause, { renderErrorCause: true }))
  })

const codeOf = (exit: Exit.Exit<unknown, unknown>): number => {
  if (Exit.isSuccess(exit)) return 0
  if (Cause.isInterruptedOnly(exit.cause)) return exitCodes.interrupted
  const error = Cause.squash(exit.cause)
  return ValidationError.isValidationError(error) ? exitCodes.usage : exitCodeOf(error)
}

/**
 * Runs the command for arguments as those of a process, and gives its exit code. The environment is that of the `ConfigProvider`, and
 * input and output go by `Streams`.
 */
export const command = (args: ReadonlyArray<string>): Effect.Effect<number> =>
  cli(args).pipe(
    Effect.tapErrorCause((cause) => (Cause.isInterruptedOnly(cause) ? Effect.void : report(cause))),
    withPlainOutput,
    Effect.provide(NodeContext.layer),
    Effect.provide(loggerLayer),
    Effect.exit,
    Effect.map(codeOf),
  )
