package config

import "github.com/hashicorp/hcl/v2/hclsyntax"

// quotedNumber refuses settings that are numbers and are written as text, which the library would take for one: what a node
// file says means the same to every reader of it.
func (l *loader) quotedNumber(fields ...string) {
	for _, field := range fields {
		a, written := l.attribute(field)
		if !written {
			continue
		}
		if _, text := a.Expr.(*hclsyntax.TemplateExpr); text {
			l.fail(field, codeType, lastPart(field)+": a number is required, and this is text", "Take the quotes away. For example: "+lastPart(field)+" = "+example(field))
		}
	}
}
