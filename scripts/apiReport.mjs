// Describes what a built package exports, entry point by entry point, from its declarations.
//
// A report shows each exported declaration, and those that are not exported themselves but part of one that is: whoever changes
// these changes the interface as well. What two entry points share is shown once, under the first. What is tagged `@internal` is
// only named.
import { readFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import ts from 'typescript'

const printer = ts.createPrinter({ removeComments: true, newLine: ts.NewLineKind.LineFeed })

/** The entry points of a manifest that have types. `.` repeats others, so it comes last. */
const entriesOf = (root) => {
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  return Object.entries(exports)
    .flatMap(([name, { types }]) => (types === undefined ? [] : [{ name, file: join(root, types) }]))
    .sort((a, b) => Number(a.name === '.') - Number(b.name === '.'))
}

const byName = (a, b) => (a.name < b.name ? -1 : 1)

/** The statement that declares, such as the `const` around a variable. */
const statementOf = (node) => {
  let current = node
  while (current.parent !== undefined && !ts.isSourceFile(current.parent)) current = current.parent
  return current
}

const hasComment = (node) =>
  (ts.getLeadingCommentRanges(node.getSourceFile().text, node.getFullStart()) ?? []).some(({ pos }) =>
    node.getSourceFile().text.startsWith('/**', pos),
  )

/** Whatever it has may change in any release, so a report has no more of it than its name. */
const isInternal = (symbol) => symbol.getJsDocTags().some(({ name }) => name === 'internal')

const memberName = (node) => (node.name === undefined ? '()' : node.name.getText())

/** Made by the compiler, or the same for every error. */
const needsNoComment = new Set(['_tag', 'message', 'name', 'constructor'])

/** Members without a comment, of interfaces, classes and the object types that tags and errors are given. */
const undocumentedMembers = (declaration, prefix) => {
  const found = []
  const visit = (node, path) => {
    // What a function takes and gives is its own comment's to tell.
    if (ts.isParameter(node) || ts.isFunctionTypeNode(node)) return
    const isMember = ts.isTypeElement(node) || ts.isPropertyDeclaration(node) || ts.isAccessor(node)
    const here = isMember ? `${path}.${memberName(node)}` : path
    if (isMember && !hasComment(node) && !needsNoComment.has(memberName(node))) found.push(here)
    if (!ts.isMethodSignature(node) && !ts.isMethodDeclaration(node)) {
      ts.forEachChild(node, (child) => visit(child, here))
    }
  }
  visit(declaration, prefix)
  return found
}

/**
 * The reports of a built package by entry point, as Markdown, and the names of what lacks a comment.
 */
export const describePackage = (root) => {
  const entries = entriesOf(root)
  const dist = join(root, 'dist') + sep
  const program = ts.createProgram(
    entries.map(({ file }) => file),
    { module: ts.ModuleKind.NodeNext, target: ts.ScriptTarget.ES2022, strict: true, types: ['node'] },
  )
  const checker = program.getTypeChecker()
  const isOurs = (node) => node.getSourceFile().fileName.split('/').join(sep).startsWith(dist)
  const target = (symbol) => (symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol)
  const exportsOf = (module) => checker.getExportsOfModule(module).sort(byName)
  const isNamespace = (symbol) => Boolean(target(symbol).flags & ts.SymbolFlags.ValueModule)

  /** Where each symbol is exported first: `./services`, and under which name. */
  const homes = new Map()
  const settle = (module, entry, path) => {
    for (const symbol of exportsOf(module)) {
      const name = path === '' ? symbol.name : `${path}.${symbol.name}`
      if (!homes.has(target(symbol))) homes.set(target(symbol), { entry, name })
      if (isNamespace(symbol)) settle(target(symbol), entry, name)
    }
  }
  const moduleOf = ({ file }) => {
    const source = program.getSourceFile(file)
    if (source === undefined) throw new Error(`${file} is missing: run npm run build`)
    return checker.getSymbolAtLocation(source)
  }
  for (const entry of entries) settle(moduleOf(entry), entry.name, '')

  const undocumented = []

  const declarationsOf = (symbol) => (symbol.declarations ?? []).filter(isOurs)
  const print = (symbol) =>
    [...new Set(declarationsOf(symbol).map(statementOf))]
      .map((node) => printer.printNode(ts.EmitHint.Unspecified, node, node.getSourceFile()))
      .join('\n')

  /** Top-level declarations of ours that this one names. */
  const named = (symbol) => {
    const found = new Set()
    const visit = (node) => {
      if (ts.isIdentifier(node)) {
        const seen = checker.getSymbolAtLocation(node)
        const other = seen === undefined ? undefined : target(seen)
        const isTop =
          other !== undefined &&
          declarationsOf(other).some(
            (declaration) => !ts.isSourceFile(declaration) && isTopLevel(declaration),
          )
        if (isTop && other !== symbol) found.add(other)
      }
      ts.forEachChild(node, visit)
    }
    declarationsOf(symbol).map(statementOf).forEach(visit)
    return found
  }

  const report = (entry) => {
    const blocks = []
    const shared = []
    const hidden = new Set()
    const queue = []
    const add = (exported, path) => {
      const symbol = target(exported)
      const name = path === '' ? exported.name : `${path}.${exported.name}`
      const home = homes.get(symbol)
      if (home.entry !== entry.name || home.name !== name) {
        shared.push(`- \`${name}\`: ${home.name === name ? '' : `\`${home.name}\` `}in \`${home.entry}\``)
        return
      }
      const ownStatements = (exported.declarations ?? []).map(statementOf)
      const statements = [...ownStatements, ...declarationsOf(symbol).map(statementOf)]
      if (!statements.some((node) => !ts.isSourceFile(node) && hasComment(node))) {
        undocumented.push(`${entry.name} ${name}`)
      }
      if (isNamespace(exported)) {
        for (const member of exportsOf(symbol)) add(member, name)
        return
      }
      if (isInternal(symbol)) {
        blocks.push(`// ${name} is internal`)
        return
      }
      const base = [...named(symbol)].filter((other) => other.name === `${symbol.name}_base`)
      base.forEach((other) => homes.set(other, home))
      // Declared under another name, or within a namespace.
      const label = symbol.name === name ? [] : [`// ${name}`]
      blocks.push([...label, ...base.map(print), print(symbol)].join('\n'))
      queue.push(symbol, ...base)
    }
    for (const exported of exportsOf(moduleOf(entry))) add(exported, '')
    for (const symbol of queue) {
      for (const declaration of declarationsOf(symbol)) {
        undocumented.push(
          ...undocumentedMembers(
            statementOf(declaration),
            `${entry.name} ${symbol.name.replace(/_base$/, '')}`,
          ),
        )
      }
      for (const other of named(symbol)) {
        if (homes.has(other) || hidden.has(other)) continue
        hidden.add(other)
        queue.push(other)
      }
    }
    const section = (title, code) => (code.length === 0 ? [] : [title, '```ts', code.join('\n\n'), '```'])
    return [
      `# ${entry.name === '.' ? '' : entry.name.slice(2) + ': '}exports of \`${join('or3-provider-sqlite', entry.name).split(sep).join('/')}\``,
      'Written by `npm run api` from what is built. Review a change of it as what it is: a change for everybody who uses this.',
      ...section('## Exported', blocks),
      ...section('## Not exported, but part of the above', [...hidden].sort(byName).map(print)),
      ...(shared.length === 0 ? [] : ['## The same as elsewhere', shared.join('\n')]),
    ].join('\n\n')
  }

  return {
    reports: entries.map((entry) => ({
      file: `${entry.name === '.' ? 'index' : entry.name.slice(2)}.api.md`,
      text: report(entry),
    })),
    undocumented: [...new Set(undocumented)].sort(),
  }
}

const isTopLevel = (declaration) =>
  ts.isSourceFile(declaration.parent) ||
  (ts.isVariableDeclaration(declaration) && ts.isSourceFile(declaration.parent.parent.parent))
