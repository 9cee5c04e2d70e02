package main

import (
	"io"
	"strconv"

	iotapi "github.com/alibabacloud-go/iot-20180120/v6/client"
	"github.com/alibabacloud-go/tea/tea"
	"github.com/spf13/cobra"
)

func (a *app) productCommand() *cobra.Command {
	c := group("product", "Create, list, show and delete products")
	c.AddCommand(a.productCreate(), a.productList(), a.productShow(), a.productDelete(), a.productRegistration())
	return c
}

func (a *app) productCreate() *cobra.Command {
	var name, description string
	var gateway, raw, x509 bool
	var validate int32
	c := &cobra.Command{
		Use:     "create",
		Short:   "Create a product with a thing model",
		Example: `  relink product create --name lamps`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.createProduct(name, description, gateway, raw, x509, validate)
			if err != nil {
				return err
			}
			return a.print(cmd, p, func(w io.Writer) {
				row(w, "product key", str(p.ProductKey))
				row(w, "product secret", str(p.ProductSecret))
				row(w, "name", str(p.ProductName))
			})
		},
	}
	c.Flags().StringVar(&name, "name", "", "name: 4 to 30 characters, unique (required)")
	c.Flags().StringVar(&description, "description", "", "up to 100 characters")
	c.Flags().BoolVar(&gateway, "gateway", false, "a gateway, which may have sub-devices")
	c.Flags().BoolVar(&raw, "raw", false, "custom data format, parsed by a script, and not Alink JSON")
	c.Flags().BoolVar(&x509, "x509", false, "devices log in with certificates, and not with secrets")
	c.Flags().Int32Var(&validate, "validate", 1, "1: check identifiers and data types; 2: check nothing")
	_ = c.MarkFlagRequired("name") // fails only for a flag that does not exist
	return c
}

func (a *app) createProduct(name, description string, gateway, raw, x509 bool, validate int32) (*iotapi.CreateProductResponseBodyData, error) {
	api, err := a.api()
	if err != nil {
		return nil, err
	}
	r := &iotapi.CreateProductRequest{
		ProductName: &name, NodeType: tea.Int32(0), DataFormat: tea.Int32(1), AliyunCommodityCode: tea.String("iothub_senior"),
		ValidateType: &validate,
	}
	if description != "" {
		r.Description = &description
	}
	if gateway {
		r.NodeType = tea.Int32(1)
	}
	if x509 {
		r.AuthType = tea.String("x509")
	}
	if raw {
		r.DataFormat = tea.Int32(0)
	}
	resp, err := api.CreateProduct(r)
	if err := check(resp, err); err != nil {
		return nil, err
	}
	return resp.Body.Data, nil
}

func (a *app) productList() *cobra.Command {
	var page, size int32
	c := &cobra.Command{
		Use:   "list",
		Short: "List products, newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := a.api()
			if err != nil {
				return err
			}
			resp, err := api.QueryProductList(&iotapi.QueryProductListRequest{CurrentPage: &page, PageSize: &size})
			if err := check(resp, err); err != nil {
				return err
			}
			return a.print(cmd, resp.Body.Data, func(w io.Writer) {
				row(w, "PRODUCT KEY", "NAME", "DEVICES", "NODE TYPE")
				for _, p := range resp.Body.Data.List.ProductInfo {
					row(w, str(p.ProductKey), str(p.ProductName), tea.Int32Value(p.DeviceCount), nodeType(p.NodeType))
				}
			})
		},
	}
	c.Flags().Int32Var(&page, "page", 1, "page, from 1")
	c.Flags().Int32Var(&size, "page-size", 50, "products per page, up to 200")
	return c
}

func (a *app) productShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show PRODUCT_KEY",
		Short: "Show a product with its secret",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.api()
			if err != nil {
				return err
			}
			resp, err := api.QueryProduct(&iotapi.QueryProductRequest{ProductKey: &args[0]})
			if err := check(resp, err); err != nil {
				return err
			}
			p := resp.Body.Data
			return a.print(cmd, p, func(w io.Writer) {
				row(w, "product key", str(p.ProductKey))
				row(w, "product secret", str(p.ProductSecret))
				row(w, "name", str(p.ProductName))
				row(w, "description", or(str(p.Description), "-"))
				row(w, "node type", nodeType(p.NodeType))
				row(w, "devices", strconv.Itoa(int(tea.Int32Value(p.DeviceCount))))
				row(w, "status", str(p.ProductStatus))
			})
		},
	}
}

func (a *app) productDelete() *cobra.Command {
	return &cobra.Command{
		Use:   "delete PRODUCT_KEY",
		Short: "Delete a product that has no devices",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := a.api()
			if err != nil {
				return err
			}
			resp, err := api.DeleteProduct(&iotapi.DeleteProductRequest{ProductKey: &args[0]})
			if err := check(resp, err); err != nil {
				return err
			}
			return a.print(cmd, map[string]string{"deleted": args[0]}, func(w io.Writer) { row(w, "deleted", args[0]) })
		},
	}
}

func nodeType(t *int32) string {
	if tea.Int32Value(t) == 1 {
		return "gateway"
	}
	return "device"
}
