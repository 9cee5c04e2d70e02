package main

import (
	"context"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"relink/shared/iot"
	"relink/shared/openapi"
	"relink/shared/product"
	"relink/shared/store"
)

// Values of AliyunCommodityCode.
const (
	commoditySenior = "iothub_senior" // with a thing model
	commodityBasic  = "iothub"
)

func commodity(p *store.Product) string {
	if p.Senior {
		return commoditySenior
	}
	return commodityBasic
}

// netTypes are the numbers that QueryProduct gives for what CreateProduct took as words ("QueryProduct", NetType).
var netTypes = map[string]int{"WIFI": 3, "CELLULAR": 6, "ETHERNET": 7, "OTHER": 8}

type createdProduct struct {
	ProductKey string
	Data       struct {
		AliyunCommodityCode string
		AuthType            string
		DataFormat          int
		Description         string
		ID2                 bool `json:"Id2"`
		NodeType            int
		ProductKey          iot.ProductKey
		ProductName         string
		ProductSecret       string
		ProtocolType        string `json:",omitempty"`
	}
}

func (a *api) createProduct(ctx context.Context, c *openapi.Call) (any, error) {
	n, err := readCreation(c)
	if err != nil {
		return nil, err
	}
	p, err := a.products.Create(ctx, n)
	if err != nil {
		return nil, err
	}
	c.Device.ProductKey = p.Key
	answer := createdProduct{ProductKey: string(p.Key)}
	d := &answer.Data
	d.AliyunCommodityCode, d.AuthType, d.DataFormat, d.Description, d.NodeType = commodity(p), p.AuthType, p.DataFormat, p.Description, p.NodeType
	d.ProductKey, d.ProductName, d.ProductSecret, d.ProtocolType = p.Key, p.Name, p.Secret.Reveal(), p.ProtocolType
	return answer, nil
}

func readCreation(c *openapi.Call) (product.Creation, error) {
	n := product.Creation{Name: c.Params.String("ProductName"), Description: c.Params.String("Description"),
		AuthType: "secret", NetType: "WIFI", CategoryKey: c.Params.String("CategoryKey"), ProtocolType: c.Params.String("ProtocolType")}
	if err := checkProductTexts(n.Name, n.Description); err != nil {
		return n, err
	}
	var err error
	if n.NodeType, err = c.Params.Int("NodeType", 0); err != nil {
		return n, err
	}
	if n.DataFormat, err = c.Params.Int("DataFormat", 1); err != nil {
		return n, err
	}
	if n.ValidateType, err = c.Params.Int("ValidateType", 1); err != nil {
		return n, err
	}
	if n.Publish, err = c.Params.Bool("PublishAuto", true); err != nil {
		return n, err
	}
	if n.NodeType != 0 && n.NodeType != 1 {
		return n, openapi.Refusef("iot.prod.InvalidNodeType", "NodeType is 0 or 1")
	}
	switch code := c.Params.String("AliyunCommodityCode"); code {
	case commoditySenior:
		n.Senior = true
		if !c.Params.Has("DataFormat") {
			return n, openapi.Missing("DataFormat")
		}
	case "", commodityBasic:
	default:
		return n, openapi.Refusef("iot.prod.InvalidAliyunCommodityCode", "AliyunCommodityCode is %s or absent", commoditySenior)
	}
	if n.DataFormat != 0 && n.DataFormat != 1 {
		return n, openapi.Refusef(openapi.CodeFormat, "DataFormat is 0 or 1")
	}
	if n.ValidateType != 1 && n.ValidateType != 2 {
		return n, openapi.Refusef(openapi.CodeFormat, "ValidateType is 1 or 2")
	}
	switch auth := c.Params.String("AuthType"); auth {
	case "":
	case "secret", "x509":
		n.AuthType = auth
	case "id2":
		return n, openapi.Refusef("iot.prod.NotOpenID2Service", "AuthType id2 is not supported")
	default:
		return n, openapi.Refusef(openapi.CodeFormat, "AuthType is secret or x509")
	}
	if net := c.Params.String("NetType"); net != "" {
		if netTypes[net] == 0 {
			return n, openapi.Refusef(openapi.CodeFormat, "NetType is WIFI, CELLULAR, ETHERNET or OTHER")
		}
		n.NetType = net
	}
	switch n.ProtocolType {
	case "", "modbus", "opc-ua", "customize", "ble", "zigbee":
	default:
		return n, openapi.Refusef(openapi.CodeFormat, "ProtocolType is modbus, opc-ua, customize, ble or zigbee")
	}
	if len(n.CategoryKey) > 64 {
		return n, openapi.Refusef("iot.prod.InvalidFormattedCatId", "CategoryKey is malformed")
	}
	return n, nil
}

func checkProductTexts(name, description string) error {
	switch {
	case name == "":
		return openapi.Refusef("iot.prod.NullProductName", "ProductName is empty")
	case !product.ValidName(name):
		return openapi.Refusef("iot.prod.InvalidFormattedProductName", "a product name has 4 to 30 characters: CJK, which count twice, letters, digits, and _-@()")
	case utf8.RuneCountInString(description) > product.MaxDescription:
		return openapi.Refusef("iot.prod.LongProductDesc", "a description has at most %d characters", product.MaxDescription)
	}
	return nil
}

func (a *api) updateProduct(ctx context.Context, c *openapi.Call) (any, error) {
	pk, err := productKey(c)
	if err != nil {
		return nil, err
	}
	name, description := c.Params.String("ProductName"), c.Params.String("Description")
	if err := checkProductTexts(name, description); err != nil {
		return nil, err
	}
	given := &description
	if !c.Params.Has("Description") {
		given = nil // absent: stays as it is; only an empty one clears it
	}
	return nil, a.products.Rename(ctx, pk, name, given)
}

type productInfo struct {
	AuthType     string
	DataFormat   int
	Description  string
	DeviceCount  int
	GmtCreate    int64
	NodeType     int
	ProductKey   iot.ProductKey
	ProductName  string
	ProtocolType string `json:",omitempty"`
}

func inform(p *store.Product, devices int) productInfo {
	return productInfo{p.AuthType, p.DataFormat, p.Description, devices, p.CreatedAt, p.NodeType, p.Key, p.Name, p.ProtocolType}
}

type productDetail struct {
	productInfo
	AliyunCommodityCode string
	CategoryKey         string `json:",omitempty"`
	ID2                 bool   `json:"Id2"`
	NetType             int
	Owner               bool
	ProductSecret       string
	ProductStatus       string
	ValidateType        int
}

func (a *api) queryProduct(ctx context.Context, c *openapi.Call) (any, error) {
	p, err := a.product(ctx, c)
	if err != nil {
		return nil, err
	}
	n, err := a.products.Count(ctx, p.Key)
	if err != nil {
		return nil, err
	}
	return dataAnswer[productDetail]{productDetail{productInfo: inform(p, n), AliyunCommodityCode: commodity(p), CategoryKey: p.CategoryKey,
		NetType: netTypes[p.NetType], Owner: true, ProductSecret: p.Secret.Reveal(), ProductStatus: p.Status, ValidateType: p.ValidateType}}, nil
}

type productList struct {
	CurrentPage int
	List        struct{ ProductInfo []productInfo }
	PageCount   int
	PageSize    int
	Total       int
}

// counts is how many products' devices are counted at once.
const counts = 16

func (a *api) queryProductList(ctx context.Context, c *openapi.Call) (any, error) {
	number, size, err := page(c, 10, 200)
	if err != nil {
		return nil, err
	}
	filter := c.Params.String("AliyunCommodityCode")
	if filter != "" && filter != commoditySenior && filter != commodityBasic {
		return nil, openapi.Refusef("iot.prod.InvalidAliyunCommodityCode", "AliyunCommodityCode is %s or %s", commoditySenior, commodityBasic)
	}
	products, err := a.products.List(ctx)
	if err != nil {
		return nil, err
	}
	var chosen []*store.Product
	for _, p := range products {
		if filter == "" || filter == commodity(p) {
			chosen = append(chosen, p)
		}
	}
	total := len(chosen)
	chosen = chosen[min((number-1)*size, total):min(number*size, total)]
	infos := make([]productInfo, len(chosen))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(counts)
	for i, p := range chosen {
		g.Go(func() error {
			n, err := a.products.Count(ctx, p.Key)
			infos[i] = inform(p, n)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	answer := productList{CurrentPage: number, PageCount: pages(total, size), PageSize: size, Total: total}
	answer.List.ProductInfo = infos
	return dataAnswer[productList]{answer}, nil
}

func (a *api) deleteProduct(ctx context.Context, c *openapi.Call) (any, error) {
	pk, err := productKey(c)
	if err != nil {
		return nil, err
	}
	if err := a.products.Delete(ctx, pk); err != nil {
		return nil, err
	}
	return nil, a.scriptRows.Delete(ctx, pk)
}
