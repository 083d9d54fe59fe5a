package envoyv3

// CEL: expressions come as text or as trees, and are kept as text, which was read once.

//lint:file-ignore SA1019 what is deprecated still stands in people's files

import (
	"slices"

	xdstypev3 "github.com/cncf/xds/go/xds/type/v3"
	"github.com/google/cel-go/cel"
	exprv1 "google.golang.org/genproto/googleapis/api/expr/v1alpha1"
	"google.golang.org/protobuf/proto"

	"github.com/attache-mesh/attache/proxy/config/expression"
)

const noteCEL = "as Envoy takes them: no comprehensions, no string(); the pattern of matches must be a literal; the cost is bounded; " +
	"not known: xds.node, xds.listener_direction, upstream.num_endpoints, upstream_filter_state"

// celText checks an expression and gives it back.
func (d *decoder) celText(p path, text string) string {
	if _, err := expression.Parse(text); err != nil {
		d.never(p, err.Error())
	}
	return text
}

// celTexts checks expressions; what stands twice is there once.
func (d *decoder) celTexts(p path, texts []string) (all []string) {
	for i, text := range texts {
		if !slices.Contains(all, text) {
			all = append(all, d.celText(p.at(i), text))
		}
	}
	return all
}

// celExpr gives the text of a tree.
func (d *decoder) celExpr(p path, m *exprv1.Expr) string {
	text, err := cel.AstToString(cel.ParsedExprToAst(&exprv1.ParsedExpr{Expr: m}))
	if err != nil {
		d.never(p, err.Error())
		return ""
	}
	return d.celText(p, text)
}

// celExpression reads xDS's expression in each of its forms (CompiledExpression::Create).
func (d *decoder) celExpression(p path, m *xdstypev3.CelExpression) string {
	canonical := func(field string, from proto.Message) string {
		e := &exprv1.Expr{}
		if !d.recast(p.dot(field), from, e) {
			return ""
		}
		return d.celExpr(p.dot(field), e)
	}
	switch {
	case m.GetCelExprChecked() != nil:
		return canonical("cel_expr_checked", m.GetCelExprChecked().GetExpr())
	case m.GetCelExprParsed() != nil:
		return canonical("cel_expr_parsed", m.GetCelExprParsed().GetExpr())
	case m.GetParsedExpr() != nil:
		return d.celExpr(p.dot("parsed_expr"), m.GetParsedExpr().GetExpr())
	case m.GetCheckedExpr() != nil:
		return d.celExpr(p.dot("checked_expr"), m.GetCheckedExpr().GetExpr())
	case m.GetCelExprString() != "":
		return d.celText(p.dot("cel_expr_string"), m.GetCelExprString())
	}
	d.refuse(p, "CEL expression not set.")
	return ""
}
