// The same by Mercurius: its own publishing within the process, filled by notifications of PostgreSQL. Who asks is believed.
'use strict'
const { createRequire } = require('module')
const req = createRequire(process.env.NODE_BASE + '/node-mercurius/package.json')
const fs = require('fs'), path = require('path')
const sql = req('postgres')(process.env.DSN, { max: 10, prepare: true })

const app = req('fastify')({ logger: false })
const resolvers = {
  Query: { isThere: () => true },
  Subscription: {
    shipmentChanges: {
      subscribe: async function * (_root, _args, context) {
        const [{ company_id: company }] = await sql`SELECT company_id FROM contact_companies WHERE contact_id = ${context.contact}`
        const changes = await context.pubsub.subscribe('company ' + company)
        yield { shipmentChanges: { action: 'UP_TO_DATE' } }
        for await (const { id } of changes) {
          const [shipment] = await sql`SELECT id::text, status FROM shipments WHERE id = ${id}`
          yield { shipmentChanges: { action: 'CREATED', shipmentId: id, shipment } }
        }
      }
    }
  },
  Shipment: {
    items: shipment => sql`SELECT quantity FROM shipment_items WHERE shipment_id = ${shipment.id} ORDER BY id`
  }
}
app.register(req('mercurius'), {
  schema: fs.readFileSync(path.join(__dirname, 'schema.graphql'), 'utf8'),
  resolvers,
  jit: 1,
  subscription: { onConnect: ({ payload }) => ({ contact: +payload.contact }) }
})
app.ready().then(async () => {
  await sql.listen('bench_shipments', text => {
    const { id, company } = JSON.parse(text)
    app.graphql.pubsub.publish({ topic: 'company ' + company, payload: { id } })
  })
  await app.listen({ port: +process.env.PORT, host: '127.0.0.1' })
})
