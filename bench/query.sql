SELECT aion.query_workflow('told', 'stage');
