// Package repotest holds the rules that a compiler and a linter can't know: who may import what, whose types may be in
// whose signatures, where names of the broker are spelt out. Its tests apply them to this repository, and each rule to
// forged breaches, so that a rule that stopped to work is noticed.
//
// A source file is parsed into a [File]; a [Rule] looks at all files and returns its [Breach]es; the tests print them.
//
// File map: source.go files; rule.go rules and breaches; imports.go, signatures.go, literals.go, shape.go and paths.go
// the rules; deps.go what is linked into binaries.
package repotest
