package sandbox

import (
	"fmt"
	"reflect"

	"github.com/dop251/goja"
	"github.com/dop251/goja/ast"
	"github.com/dop251/goja/file"
	"github.com/dop251/goja/parser"
	"github.com/dop251/goja/unistring"
)

// counter is the name of the function that counts. No script can spell it, and it cannot be replaced.
const counter = "\x00"

// textPerStep is how many bytes of a function's or loop's text make one step.
const textPerStep = 16

// refused is why a script is not compiled.
type refused struct {
	position file.Position
	what     string
}

func (r *refused) Error() string { return r.what }

// compile makes a program that counts.
func compile(source string) (*goja.Program, error) {
	// Source maps are files that a comment of the script names.
	tree, err := parser.ParseFile(nil, "", source, 0, parser.WithDisableSourceMaps)
	if err != nil {
		return nil, err
	}
	i := instrumenter{file: tree.File}
	i.walk(reflect.ValueOf(tree.Body))
	if i.refused != nil {
		return nil, i.refused
	}
	return goja.CompileAST(tree, false)
}

// An instrumenter puts a counter into every function and every loop.
type instrumenter struct {
	file    *file.File
	refused *refused
}

func (i *instrumenter) refuse(at file.Idx, what string) {
	if i.refused == nil {
		i.refused = &refused{i.file.Position(int(at) - 1), what}
	}
}

var fileType = reflect.TypeFor[*file.File]()

// walk visits everything that is below v: no node can be forgotten because its type is not listed.
func (i *instrumenter) walk(v reflect.Value) {
	switch v.Kind() {
	case reflect.Interface:
		if !v.IsNil() {
			i.walk(v.Elem())
		}
	case reflect.Pointer:
		if v.IsNil() || v.Type() == fileType || v.Elem().Kind() != reflect.Struct {
			return
		}
		if v.CanInterface() {
			i.node(v.Interface())
		}
		i.fields(v.Elem())
	case reflect.Slice:
		for n := range v.Len() {
			i.walk(v.Index(n))
		}
	case reflect.Struct:
		i.fields(v)
	}
}

func (i *instrumenter) fields(v reflect.Value) {
	for n := range v.NumField() {
		if name := v.Type().Field(n).Name; name != "DeclarationList" { // repeats what is in the body
			i.walk(v.Field(n))
		}
	}
}

// node changes one node; its parts are walked afterwards, with the counters, which have nothing to change.
func (i *instrumenter) node(n any) {
	switch n := n.(type) {
	case *ast.FunctionLiteral:
		if n.Generator || n.Async {
			i.refuse(n.Function, "generators and asynchronous functions are not supported")
			return
		}
		n.Body.List = counted(n.Body.List, n.Body, n.Function)
	case *ast.ArrowFunctionLiteral:
		if n.Async {
			i.refuse(n.Start, "asynchronous functions are not supported")
			return
		}
		switch body := n.Body.(type) {
		case *ast.BlockStatement:
			body.List = counted(body.List, body, n.Start)
		case *ast.ExpressionBody:
			body.Expression = &ast.SequenceExpression{Sequence: []ast.Expression{count(body.Expression, n.Start), body.Expression}}
		}
	case *ast.ForStatement:
		n.Body = loop(n.Body, n.For)
	case *ast.ForInStatement:
		n.Body = loop(n.Body, n.For)
	case *ast.ForOfStatement:
		n.Body = loop(n.Body, n.For)
	case *ast.WhileStatement:
		n.Body = loop(n.Body, n.While)
	case *ast.DoWhileStatement:
		n.Body = loop(n.Body, n.Do)
	case *ast.WithStatement:
		i.refuse(n.With, "with is not supported")
	case *ast.ClassLiteral:
		i.refuse(n.Class, "classes are not supported")
	case *ast.NumberLiteral:
		switch n.Value.(type) {
		case int64, float64:
		default:
			i.refuse(n.Idx, "big integers are not supported")
		}
	}
}

// loop is a loop's body with a counter.
func loop(body ast.Statement, at file.Idx) ast.Statement {
	if block, ok := body.(*ast.BlockStatement); ok {
		block.List = append([]ast.Statement{&ast.ExpressionStatement{Expression: count(block, at)}}, block.List...)
		return block
	}
	return &ast.BlockStatement{
		LeftBrace: at, RightBrace: body.Idx1(),
		List: []ast.Statement{&ast.ExpressionStatement{Expression: count(body, at)}, body},
	}
}

// counted is a function's body with a counter, after its directives ("use strict").
func counted(list []ast.Statement, body ast.Node, at file.Idx) []ast.Statement {
	n := 0
	for n < len(list) && directive(list[n]) {
		n++
	}
	out := make([]ast.Statement, 0, len(list)+1)
	out = append(out, list[:n]...)
	out = append(out, &ast.ExpressionStatement{Expression: count(body, at)})
	return append(out, list[n:]...)
}

func directive(s ast.Statement) bool {
	e, ok := s.(*ast.ExpressionStatement)
	if !ok {
		return false
	}
	_, ok = e.Expression.(*ast.StringLiteral)
	return ok
}

// count is a call of the counter for what body is worth.
func count(body ast.Node, at file.Idx) ast.Expression {
	cost := int64(1 + max(0, int(body.Idx1())-int(body.Idx0()))/textPerStep)
	return &ast.CallExpression{
		Callee:           &ast.Identifier{Name: unistring.String(counter), Idx: at},
		LeftParenthesis:  at,
		ArgumentList:     []ast.Expression{&ast.NumberLiteral{Idx: at, Literal: fmt.Sprint(cost), Value: cost}},
		RightParenthesis: at,
	}
}
