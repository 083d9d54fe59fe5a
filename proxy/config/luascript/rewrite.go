package luascript

// The concatenation operator makes texts of any length, and nothing in the machine asks whether it may. So it is made a
// call of a function that does.

import "github.com/yuin/gopher-lua/ast"

// concatName is what that function is called: no script can write it.
const concatName = ".."

// maxNesting bounds how deep blocks and expressions are nested, maxOperands how many operands one call joins.
const (
	maxNesting  = 200
	maxOperands = 50
)

// rewriter walks a script.
type rewriter struct {
	depth   int
	tooDeep bool
}

// enter goes a level down; false: it is too deep.
func (r *rewriter) enter() bool {
	r.depth++
	if r.depth > maxNesting {
		r.tooDeep = true
	}
	return !r.tooDeep
}

func (r *rewriter) block(stmts []ast.Stmt) {
	if r.enter() {
		for _, s := range stmts {
			r.statement(s)
		}
	}
	r.depth--
}

func (r *rewriter) statement(s ast.Stmt) {
	switch s := s.(type) {
	case *ast.AssignStmt:
		r.list(s.Lhs)
		r.list(s.Rhs)
	case *ast.LocalAssignStmt:
		r.list(s.Exprs)
	case *ast.FuncCallStmt:
		s.Expr = r.expr(s.Expr)
	case *ast.DoBlockStmt:
		r.block(s.Stmts)
	case *ast.WhileStmt:
		s.Condition = r.expr(s.Condition)
		r.block(s.Stmts)
	case *ast.RepeatStmt:
		s.Condition = r.expr(s.Condition)
		r.block(s.Stmts)
	case *ast.IfStmt:
		s.Condition = r.expr(s.Condition)
		r.block(s.Then)
		r.block(s.Else)
	case *ast.NumberForStmt:
		s.Init, s.Limit, s.Step = r.expr(s.Init), r.expr(s.Limit), r.expr(s.Step)
		r.block(s.Stmts)
	case *ast.GenericForStmt:
		r.list(s.Exprs)
		r.block(s.Stmts)
	case *ast.FuncDefStmt:
		s.Name.Func, s.Name.Receiver = r.expr(s.Name.Func), r.expr(s.Name.Receiver)
		r.block(s.Func.Stmts)
	case *ast.ReturnStmt:
		r.list(s.Exprs)
	}
}

func (r *rewriter) list(all []ast.Expr) {
	for i := range all {
		all[i] = r.expr(all[i])
	}
}

func (r *rewriter) expr(e ast.Expr) ast.Expr {
	if e == nil {
		return nil
	}
	if r.enter() {
		e = r.inner(e)
	}
	r.depth--
	return e
}

func (r *rewriter) inner(e ast.Expr) ast.Expr {
	switch e := e.(type) {
	case *ast.StringConcatOpExpr:
		return r.concat(e)
	case *ast.AttrGetExpr:
		e.Object, e.Key = r.expr(e.Object), r.expr(e.Key)
	case *ast.TableExpr:
		for _, f := range e.Fields {
			f.Key, f.Value = r.expr(f.Key), r.expr(f.Value)
		}
	case *ast.FuncCallExpr:
		e.Func, e.Receiver = r.expr(e.Func), r.expr(e.Receiver)
		r.list(e.Args)
	case *ast.LogicalOpExpr:
		e.Lhs, e.Rhs = r.expr(e.Lhs), r.expr(e.Rhs)
	case *ast.RelationalOpExpr:
		e.Lhs, e.Rhs = r.expr(e.Lhs), r.expr(e.Rhs)
	case *ast.ArithmeticOpExpr:
		e.Lhs, e.Rhs = r.expr(e.Lhs), r.expr(e.Rhs)
	case *ast.UnaryMinusOpExpr:
		e.Expr = r.expr(e.Expr)
	case *ast.UnaryNotOpExpr:
		e.Expr = r.expr(e.Expr)
	case *ast.UnaryLenOpExpr:
		e.Expr = r.expr(e.Expr)
	case *ast.FunctionExpr:
		r.block(e.Stmts)
	}
	return e
}

// concat makes a call of a chain of operators, which the parser has nested to the right.
func (r *rewriter) concat(e *ast.StringConcatOpExpr) ast.Expr {
	call := &ast.FuncCallExpr{Func: &ast.IdentExpr{Value: concatName}, AdjustRet: true}
	call.SetLine(e.Line())
	call.SetLastLine(e.LastLine())
	call.Func.SetLine(e.Line())
	for {
		call.Args = append(call.Args, r.single(e.Lhs))
		next, more := e.Rhs.(*ast.StringConcatOpExpr)
		if !more || len(call.Args) == maxOperands {
			call.Args = append(call.Args, r.single(e.Rhs))
			return call
		}
		e = next
	}
}

// single is an operand: one value, where a call at the end of a list may be several.
func (r *rewriter) single(e ast.Expr) ast.Expr {
	e = r.expr(e)
	switch c := e.(type) {
	case *ast.FuncCallExpr:
		c.AdjustRet = true
	case *ast.Comma3Expr:
		c.AdjustRet = true
	}
	return e
}
