import { DataSource } from 'typeorm';
import { METRICS_ENTITIES } from '../../src/modules/monitoring/metrics/stores/metrics.entities.js';
import { openTestDatabase } from '../support/test-database.js';

it('the entities of metrics describe exactly the tables that the migration makes', async () => {
  const db = await openTestDatabase();
  const dataSource = new DataSource({
    type: 'postgres',
    url: db.url,
    schema: 'vigia',
    entities: [...METRICS_ENTITIES],
  });
  try {
    await dataSource.initialize();
    const { upQueries } = await dataSource.driver.createSchemaBuilder().log();
    expect(upQueries.map(({ query }) => query)).toEqual([]);
  } finally {
    await dataSource.destroy();
    await db.close();
  }
});
